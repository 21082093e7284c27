#include "harness/step/state.h"

#include <algorithm>
#include <cstring>

namespace hobbs::step {
namespace {

constexpr std::size_t kScalarBytes = offsetof(Processor, vectors);

void append(std::string& bytes, const void* from, std::size_t count) {
  bytes.append(static_cast<const char*>(from), count);
}

void take(std::string_view& bytes, void* to, std::size_t count) {
  std::memcpy(to, bytes.data(), count);
  bytes.remove_prefix(count);
}

/// Which vector registers are not zero: lock code seldom uses any, and they are large.
std::uint16_t live_vectors(const Processor& cpu) {
  std::uint16_t live = 0;
  for (unsigned i = 0; i < cpu.vectors.size(); ++i) {
    if ((cpu.vectors[i].low | cpu.vectors[i].high) == 0) continue;
    live |= static_cast<std::uint16_t>(1u << i);
  }
  return live;
}

struct Lengths {
  std::uint16_t vectors;
  std::uint8_t worker, buffered, private_count, unused[3];
  std::uint32_t stack_used;
};

}  // namespace

void Local::set_live_stack(std::uint64_t live_bytes) {
  const std::uint32_t dirty = std::max(stack_touched, stack_used);
  stack_used = static_cast<std::uint32_t>(std::min<std::uint64_t>(live_bytes, kStackBytes));
  stack_touched = 0;
  if (dirty > stack_used) std::memset(stack + kStackBytes - dirty, 0, dirty - stack_used);
}

void Local::leave_code() {
  cpu = Processor{};
  set_live_stack(0);
}

void pack(const Local& local, std::string& bytes) {
  bytes.clear();
  const Lengths lengths{live_vectors(local.cpu), local.worker, local.buffered,
                        local.private_count,     {},           local.stack_used};
  append(bytes, &lengths, sizeof lengths);
  append(bytes, &local.cpu, kScalarBytes);
  for (unsigned i = 0; i < local.cpu.vectors.size(); ++i) {
    if ((lengths.vectors >> i & 1) != 0) append(bytes, &local.cpu.vectors[i], sizeof(Vector));
  }
  append(bytes, local.buffer, local.buffered * sizeof(BufferedStore));
  append(bytes, local.words, local.private_count * sizeof(PrivateWord));
  append(bytes, local.stack + kStackBytes - local.stack_used, local.stack_used);
}

void unpack(std::string_view bytes, Local& local) {
  const std::uint32_t dirty = std::max(local.stack_used, local.stack_touched);
  Lengths lengths;
  take(bytes, &lengths, sizeof lengths);
  local.worker = lengths.worker;
  local.buffered = lengths.buffered;
  local.private_count = lengths.private_count;
  local.stack_used = lengths.stack_used;
  local.stack_touched = 0;
  take(bytes, &local.cpu, kScalarBytes);
  for (unsigned i = 0; i < local.cpu.vectors.size(); ++i) {
    local.cpu.vectors[i] = Vector{};
    if ((lengths.vectors >> i & 1) != 0) take(bytes, &local.cpu.vectors[i], sizeof(Vector));
  }
  take(bytes, local.buffer, local.buffered * sizeof(BufferedStore));
  take(bytes, local.words, local.private_count * sizeof(PrivateWord));
  if (dirty > local.stack_used) {
    std::memset(local.stack + kStackBytes - dirty, 0, dirty - local.stack_used);
  }
  take(bytes, local.stack + kStackBytes - local.stack_used, local.stack_used);
}

}  // namespace hobbs::step
