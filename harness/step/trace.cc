#include "harness/step/trace.h"

#include <pthread.h>
#include <semaphore.h>

#include <cstdio>
#include <cstring>
#include <iterator>

#include "harness/step/symbols.h"

namespace hobbs::step {

std::string describe(World& world, const State& state, const Transition& transition) {
  using Kind = Transition::Kind;
  const Local& local = state.locals[transition.worker];
  WorkerHead worker = state.head.workers[transition.worker];
  switch (transition.kind) {
    case Kind::kDrain: {
      const BufferedStore& store = local.buffer[0];
      return "its store of " + std::to_string(store.value) + " to lock+" +
             std::to_string(store.offset) + " becomes visible";
    }
    case Kind::kTimeOut: return "its deadline passes";
    case Kind::kSignal: return "a signal ends its sleep";
    case Kind::kSpurious: return "its sleep ends for no reason";
    case Kind::kKill:
      return worker.phase == Phase::kBetween ? "is killed inside the section"
                                             : "is killed before " + Decoder::text(local.cpu.rip);
    case Kind::kGiveUp: return "spins until it gives up at " + Decoder::text(local.cpu.rip);
    case Kind::kRun: break;
  }
  if (worker.phase != Phase::kBetween) return Decoder::text(local.cpu.rip);
  CallKind call{};
  if (!world.next_call(worker, transition.worker, call)) return "ends";
  Program one;
  one.workers = {{world.program().workers[transition.worker][worker.step]}};
  return "calls " + to_text(one);
}

namespace {

/// The 4-byte fields of the C library's locks, as their headers (bits/struct_mutex.h and the like)
/// lay them out on x86-64; null where nothing is said.
struct Layout {
  const char* symbol;  // In the names of the functions that work on it.
  const char* fields[14];
};
constexpr Layout kLayouts[] = {
    {"pthread_mutex_",
     {"lock", "count", "owner", "nusers", "kind", "spins", "list.prev", nullptr, "list.next"}},
    {"pthread_rwlock_",
     {"readers", "writers", "wrphase_futex", "writers_futex", nullptr, nullptr, "cur_writer",
      "shared", nullptr, nullptr, nullptr, nullptr, "flags"}},
    {"sem_", {"value", "nwaiters", "private"}},
};

/// The layout of what the code at `symbol` works on, or `before`.
const Layout* layout_of(const std::string& symbol, const Layout* before) {
  for (const Layout& layout : kLayouts) {
    if (symbol.find(layout.symbol) != std::string::npos) return &layout;
  }
  return before;
}

std::string name_of_word(std::size_t at, const Layout* layout) {
  const char* field =
      layout != nullptr && at / 4 < std::size(layout->fields) ? layout->fields[at / 4] : nullptr;
  return field != nullptr ? field : "lock+" + std::to_string(at);
}

/// The lock's words that are not zero, as text.
std::string words_text(const State& state, const Layout* layout) {
  std::string text;
  for (std::size_t at = 0; at + 4 <= state.shared.used; at += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, state.shared.bytes + at, 4);
    if (word == 0) continue;
    char value[16];
    std::snprintf(value, sizeof value, "=0x%x", word);
    text += (text.empty() ? "" : " ") + name_of_word(at, layout) + value;
  }
  return text.empty() ? "lock is all zero" : text;
}

/// A lock that is the C library's own object and nothing else: only then are offsets fields.
bool is_c_library_object(const World& world) {
  const std::size_t size = world.lock().real.size;
  return size == sizeof(pthread_mutex_t) || size == sizeof(pthread_rwlock_t) ||
         size == sizeof(sem_t);
}

}  // namespace

std::vector<TraceLine> trace(World& world, const std::vector<Transition>& path) {
  std::vector<TraceLine> lines;
  State state = world.initial();
  const Layout* layout = nullptr;
  for (const Transition& transition : path) {
    TraceLine line;
    line.text = describe(world, state, transition);
    if (state.head.workers[transition.worker].phase == Phase::kInCall) {
      line.where = source_of(state.locals[transition.worker].cpu.rip);
    }
    if (is_c_library_object(world)) layout = layout_of(line.text, layout);
    const Incident incident = world.step(state, transition);
    line.text += "   [" + words_text(state, layout) + "]";
    if (!incident.none()) line.text += "   <- " + incident.summary;
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace hobbs::step
