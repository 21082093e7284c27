#include "harness/step/quiet_reads.h"

#include <cstring>

namespace hobbs::step {
namespace {

using Kind = Transition::Kind;

constexpr unsigned kTransitionsMax = 400;  // Of one worker, before another has its turn.
constexpr unsigned kRounds = 4;

class OneRun {
 public:
  OneRun(World& world, const State& start) : world_(world), state_(start), before_(start.shared) {
    state_.head.preemptions_left = Head::kUnbounded;
  }

  SharedWords changes() {
    go_on(0, true);
    for (unsigned round = 0; round < kRounds; ++round) {
      for (std::uint8_t w = state_.head.count; w-- > 0;) go_on(w, false);
    }
    return changed_;
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
      if (chosen == nullptr || !world_.step(state_, *chosen).none()) return;
      look();
    }
  }

  void look() {
    for (std::uint32_t at = 0; at < before_.used; at += 4) {
      if (std::memcmp(before_.bytes + at, state_.shared.bytes + at, 4) != 0) changed_.set(at / 4);
    }
    std::memcpy(before_.bytes, state_.shared.bytes, before_.used);
  }

  World& world_;
  State state_;
  Shared before_;
  SharedWords changed_;
};

}  // namespace

SharedWords changed_in_one_run(World& world, const State& start) {
  return OneRun(world, start).changes();
}

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
