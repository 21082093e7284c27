#include "harness/step/quiet_reads.h"

#include <cstring>

namespace hobbs::step {
namespace {

using Kind = Transition::Kind;

constexpr unsigned kTransitionsMax = 400;  // Of one worker, before another has its turn.
constexpr unsigned kRounds = 4;

class Trial {
 public:
  Trial(World& world, const State& start) : world_(world), state_(start), before_(start.shared) {
    state_.head.preemptions_left = Head::kUnbounded;
  }

  OneRun run() {
    go_on(0, true);
    for (unsigned round = 0; round < kRounds; ++round) {
      for (std::uint8_t w = state_.head.count; w-- > 0;) go_on(w, false);
    }
    return seen_;
  }

 private:
  /// Until it is done, cannot go on, or `holds`.
  void go_on(std::uint8_t w, bool until_it_holds) {
    std::vector<Transition> enabled;
    for (unsigned i = 0; i < kTransitionsMax; ++i) {
      if (until_it_holds && state_.head.workers[w].holds()) return;
      world_.enabled(state_, enabled);
      const Transition* chosen = nullptr;
      for (const Transition& one : enabled) {
        const bool is_move = one.kind == Kind::kRun || one.kind == Kind::kDrain;
        if (one.worker == w && is_move) chosen = &one;
      }
      if (chosen == nullptr) return;
      if (chosen->kind == Kind::kRun) look_ahead(w);
      if (!world_.step(state_, *chosen).none()) return;
      seen_.pauses |= state_.head.workers[w].has(WorkerHead::kPaused);
      look_back();
    }
  }

  void look_ahead(std::uint8_t w) {
    if (state_.head.workers[w].phase != Phase::kInCall) return;
    bool asks_time = false;
    const Access next =
        world_.runner().next_access(state_.locals[w], state_.shared, false, asks_time);
    if (next.kind == Access::Kind::kLoad) return;
    SharedWords& words = next.kind == Access::Kind::kStore ? seen_.stored : seen_.atomic;
    for (std::uint32_t at = next.offset / 4; at * 4 < next.offset + next.bytes; ++at) words.set(at);
  }

  void look_back() {
    for (std::uint32_t at = 0; at < before_.used; at += 4) {
      if (std::memcmp(before_.bytes + at, state_.shared.bytes + at, 4) != 0) seen_.changed.set(at / 4);
    }
    std::memcpy(before_.bytes, state_.shared.bytes, before_.used);
  }

  World& world_;
  State state_;
  Shared before_;
  OneRun seen_;
};

}  // namespace

OneRun one_run(World& world, const State& start) { return Trial(world, start).run(); }

std::optional<std::vector<Transition>> with_all_stops(World& world, const State& start,
                                                      const SharedWords& changing,
                                                      const std::vector<Transition>& path) {
  State quiet = start, full = start;
  quiet.head.preemptions_left = full.head.preemptions_left = Head::kUnbounded;
  std::vector<Transition> all;
  for (const Transition& transition : path) {
    Event wanted;
    {
      const QuietReads fewer(world.runner(), changing);
      world.step(quiet, transition, wanted);
    }
    Event event;
    all.push_back(transition);
    Incident incident = world.step(full, transition, event);
    for (std::uint32_t made = event.instructions; made != wanted.instructions;
         made += event.instructions) {
      if (made > wanted.instructions || !incident.none()) return std::nullopt;
      all.push_back({Kind::kRun, transition.worker});
      incident = world.step(full, all.back(), event);
      if (event.instructions == 0) return std::nullopt;
    }
  }
  return all;
}

}  // namespace hobbs::step
