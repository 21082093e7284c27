#include "harness/step/trace.h"

#include <cstdio>
#include <cstring>

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
    case Kind::kTimeOut: return "its deadline passes while it sleeps";
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

std::string words_text(const World& world, const State& state) {
  std::string text;
  for (std::size_t at = 0; at + 4 <= state.shared.used; at += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, state.shared.bytes + at, 4);
    if (word == 0) continue;
    char line[48];
    std::snprintf(line, sizeof line, "%slock+%zu=0x%x", text.empty() ? "" : " ", at, word);
    text += line;
  }
  (void)world;
  return text.empty() ? "lock is all zero" : text;
}

std::vector<TraceLine> trace(World& world, const std::vector<Transition>& path) {
  std::vector<TraceLine> lines;
  State state = world.initial();
  for (const Transition& transition : path) {
    TraceLine line;
    line.text = describe(world, state, transition);
    if (state.head.workers[transition.worker].phase == Phase::kInCall) {
      line.where = source_of(state.locals[transition.worker].cpu.rip);
    }
    const Incident incident = world.step(state, transition);
    line.text += "   [" + words_text(world, state) + "]";
    if (!incident.none()) line.text += "   <- " + incident.summary;
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace hobbs::step
