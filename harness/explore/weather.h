// What an execution meets besides who moves: drawn alike by every random strategy.
#pragma once

#include <bit>
#include <cstdint>

#include "harness/explore/strategy.h"

namespace hobbs::explore {

/// Each execution draws its own weather: whether time runs ahead of the workers, whether futex
/// waits end for no reason, how stale reads are. Rare events would hide bugs that only show in
/// their absence (a spurious wake heals a lost one), so most executions have none.
class Weather {
 public:
  void begin(Random& random) {
    const std::uint64_t drawn = random.next();
    eager_time_ = (drawn & 1) != 0;
    wakes_left_ = (drawn >> 1 & 3) == 0 ? 2 : 0;
    fresh_ = (drawn >> 3 & 3) == 0;
    placing_ = (drawn >> 5 & 7) == 0;
    patient_ = (drawn >> 8 & 1) == 0;
  }

  /// Where something from outside could happen: that, or, mostly, a step.
  Move event(const Scene& scene, Random& random) {
    return random.one_in(16) ? drawn_event(scene, random) : Move{};
  }

  /// The same for whoever has drawn already that it is due.
  [[gnu::noinline]] Move drawn_event(const Scene& scene, Random& random) {
    Move move;
    if (scene.asleep != 0 && wakes_left_ > 0 && random.one_in(4)) {
      --wakes_left_;
      const auto n = static_cast<std::uint32_t>(std::popcount(scene.asleep));
      move.kind = random.one_in(2) ? Move::Kind::kWake : Move::Kind::kInterrupt;
      move.worker = static_cast<std::uint8_t>(nth_bit(scene.asleep, random.below(n)));
    } else if (scene.clock && eager_time_) {
      move.kind = Move::Kind::kTime;
    }
    return move;
  }

  /// How many values back a read goes that could go n.
  [[gnu::always_inline]] int pick_stale(int n, Random& random) const {
    if (fresh_) return 0;
    // A half of them nowhere, the others evenly.
    const std::uint32_t drawn = random.below(2 * static_cast<std::uint32_t>(n));
    return static_cast<int>(drawn >= static_cast<std::uint32_t>(n) ? 0 : drawn);
  }

  int pick(Choice choice, int n, Random& random) const {
    const auto count = static_cast<std::uint32_t>(n);
    switch (choice) {
      case Choice::kStale: return pick_stale(n, random);
      case Choice::kPlace:
        return placing_ && random.one_in(2) ? static_cast<int>(random.below(count)) : 0;
      case Choice::kWeak: return random.one_in(8) ? 1 : 0;
      case Choice::kPersist: return patient_ || random.one_in(2) ? 0 : 1;
      case Choice::kNone: break;
    }
    return 0;
  }

 private:
  bool eager_time_ = false;
  int wakes_left_ = 0;
  bool fresh_ = false;
  bool placing_ = false;
  bool patient_ = false;  // Waits for others when it has looked in vain.
};

}  // namespace hobbs::explore
