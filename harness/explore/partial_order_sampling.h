// Partial order sampling (Yuan, Yang and Gu, CAV 2018): what is pending has priorities, the highest
// goes first, and only what races with it is drawn anew.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "harness/explore/strategy.h"
#include "harness/explore/weather.h"

namespace hobbs::explore {

/// Every pending step has a random priority of its own, as has every buffered store. Who has n
/// steps to go until a word that another already stands before comes first there one time in n + 1;
/// in a random walk one time in 2^n.
class PartialOrderSampling final : public Strategy {
 public:
  explicit PartialOrderSampling(std::uint64_t seed) : random_(seed) {}

  bool begin() override {
    weather_.begin(random_);
    std::generate(steps_.begin(), steps_.end(), [this] { return draw(); });
    std::generate(drains_.begin(), drains_.end(), [this] { return draw(); });
    return true;
  }

  Move next(const Scene& scene) override {
    if (scene.clock || scene.asleep != 0) {
      const Move move = weather_.event(scene, random_);
      if (move.kind != Move::Kind::kStep) return move;
    }
    const int step = highest(scene.ready, steps_);
    const int drain = highest(scene.drains, drains_);
    Move move;
    if (step < 0 || (drain >= 0 && drains_[at(drain)] > steps_[at(step)])) {
      move.kind = Move::Kind::kDrain;
      move.worker = static_cast<std::uint8_t>(drain);
      drains_[at(drain)] = draw();
      // Which word it becomes visible in is not told: any access may race with it.
      redraw_if(scene, [](const Pending& pending) { return pending.word >= 0; });
      return move;
    }
    move.worker = static_cast<std::uint8_t>(step);
    redraw_what_races(scene, step);
    return move;
  }

  void goes_on(const Scene& scene) override { redraw_what_races(scene, scene.current); }

  int pick(const Scene&, Choice choice, int n) override {
    return weather_.pick(choice, n, random_);
  }

 private:
  using Priorities = std::array<std::uint32_t, kMaxFibres>;

  static std::size_t at(int worker) { return static_cast<std::size_t>(worker); }
  std::uint32_t draw() { return static_cast<std::uint32_t>(random_.next()); }

  static int highest(std::uint32_t among, const Priorities& priorities) {
    int best = -1;
    for (; among != 0; among &= among - 1) {
      const int w = std::countr_zero(among);
      if (best < 0 || priorities[at(w)] > priorities[at(best)]) best = w;
    }
    return best;
  }

  /// Calls of the system and questions about others race with each other.
  static bool race(const Pending& one, const Pending& other) {
    if (one.word >= 0) {
      return one.word == other.word && (one.changes() || other.changes());
    }
    const auto is_outside = [](const Pending& pending) {
      return pending.kind == Pending::Kind::kCall || pending.kind == Pending::Kind::kAsk;
    };
    return is_outside(one) && is_outside(other);
  }

  /// This worker does what is pending of it.
  void redraw_what_races(const Scene& scene, int worker) {
    const Pending done = scene.pending[at(worker)];
    redraw_if(scene, [&done](const Pending& pending) { return race(done, pending); });
    steps_[at(worker)] = draw();
  }

  template <class Races>
  void redraw_if(const Scene& scene, Races races) {
    for (std::uint32_t left = scene.ready; left != 0; left &= left - 1) {
      const int w = std::countr_zero(left);
      if (races(scene.pending[at(w)])) steps_[at(w)] = draw();
    }
  }

  Random random_;
  Weather weather_;
  Priorities steps_{};
  Priorities drains_{};
};

}  // namespace hobbs::explore
