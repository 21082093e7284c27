#include "harness/step/state.h"

#include <algorithm>
#include <cstring>

namespace hobbs::step {
namespace {

constexpr std::size_t kScalarBytes = offsetof(Processor, vectors);
constexpr std::size_t kFieldsFrom = offsetof(WorkerState, futex_address);
constexpr std::size_t kFieldsTo = offsetof(WorkerState, buffer);

const char* bytes_of(const void* at) { return static_cast<const char*>(at); }

void append(std::string& bytes, const void* from, std::size_t count) {
  bytes.append(bytes_of(from), count);
}

void take(std::string_view& bytes, void* to, std::size_t count) {
  std::memcpy(to, bytes.data(), count);
  bytes.remove_prefix(count);
}

/// Which vector registers are not zero: lock code seldom uses any, and they are large.
std::uint16_t live_vectors(const Processor& cpu) {
  std::uint16_t live = 0;
  for (unsigned i = 0; i < cpu.vectors.size(); ++i) {
    if ((cpu.vectors[i].low | cpu.vectors[i].high) != 0)
      live |= static_cast<std::uint16_t>(1u << i);
  }
  return live;
}

void pack_worker(const WorkerState& worker, std::string& bytes) {
  append(bytes, &worker.cpu, kScalarBytes);
  append(bytes, bytes_of(&worker) + kFieldsFrom, kFieldsTo - kFieldsFrom);
  const std::uint16_t live = live_vectors(worker.cpu);
  append(bytes, &live, sizeof live);
  for (unsigned i = 0; i < worker.cpu.vectors.size(); ++i) {
    if ((live >> i & 1) != 0) append(bytes, &worker.cpu.vectors[i], sizeof(Vector));
  }
  append(bytes, worker.buffer, worker.buffered * sizeof(BufferedStore));
  append(bytes, worker.words, worker.private_count * sizeof(PrivateWord));
  append(bytes, worker.stack + kStackBytes - worker.stack_used, worker.stack_used);
}

void unpack_worker(std::string_view& bytes, WorkerState& worker) {
  const std::uint64_t dirty = std::max<std::uint64_t>(worker.stack_used, worker.stack_touched);
  take(bytes, &worker.cpu, kScalarBytes);
  take(bytes, const_cast<char*>(bytes_of(&worker)) + kFieldsFrom, kFieldsTo - kFieldsFrom);
  std::uint16_t live = 0;
  take(bytes, &live, sizeof live);
  for (unsigned i = 0; i < worker.cpu.vectors.size(); ++i) {
    worker.cpu.vectors[i] = Vector{};
    if ((live >> i & 1) != 0) take(bytes, &worker.cpu.vectors[i], sizeof(Vector));
  }
  take(bytes, worker.buffer, worker.buffered * sizeof(BufferedStore));
  take(bytes, worker.words, worker.private_count * sizeof(PrivateWord));
  if (dirty > worker.stack_used) {
    std::memset(worker.stack + kStackBytes - dirty, 0, dirty - worker.stack_used);
  }
  take(bytes, worker.stack + kStackBytes - worker.stack_used, worker.stack_used);
}

}  // namespace

std::string pack(const State& state) {
  std::string bytes;
  bytes.reserve(64 + state.shared_used + state.workers_count * 640);
  append(bytes, &state, offsetof(State, shared));
  append(bytes, state.shared, state.shared_used);
  for (std::size_t i = 0; i < state.workers_count; ++i) pack_worker(state.workers[i], bytes);
  return bytes;
}

void unpack(std::string_view bytes, State& state) {
  take(bytes, &state, offsetof(State, shared));
  take(bytes, state.shared, state.shared_used);
  for (std::size_t i = 0; i < state.workers_count; ++i) unpack_worker(bytes, state.workers[i]);
}

}  // namespace hobbs::step
