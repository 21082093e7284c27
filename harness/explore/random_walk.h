// The random walk: every move is drawn anew. Simple, and the best single strategy measured.
#pragma once

#include <algorithm>
#include <bit>
#include <vector>

#include "harness/explore/strategy.h"
#include "harness/explore/weather.h"

namespace hobbs::explore {

class RandomWalk final : public Strategy {
 public:
  explicit RandomWalk(std::uint64_t seed) : random_(seed) {}

  bool begin() override {
    weather_.begin(random_);
    return true;
  }

  Move next(const Scene& scene) override {
    const std::uint64_t drawn = random_.next();
    if ((scene.clock || scene.asleep != 0) && (drawn & 15) == 0) [[unlikely]] {
      const Move move = weather_.drawn_event(scene, random_);
      if (move.kind != Move::Kind::kStep) return move;
    }
    if (scene.drains == 0) [[likely]] {
      const std::uint32_t n = kBitsOfByte.count[scene.ready];
      const std::uint8_t w = kBitsOfByte.position[scene.ready][(drawn >> 32) * n >> 32];
      return {Move::Kind::kStep, w, Choice::kNone, 0};
    }
    return step_or_drain(scene, static_cast<std::uint32_t>(drawn >> 32));
  }

  Random* even_steps() override { return &random_; }
  const Weather* even_picks() override { return &weather_; }

  int pick(const Scene&, Choice choice, int n) override {
    return weather_.pick(choice, n, random_);
  }

 private:
  static_assert(kMaxFibres == 8, "who is ready is one byte");
  static Move step_or_drain(const Scene& scene, std::uint64_t drawn) {
    const std::uint32_t steps = kBitsOfByte.count[scene.ready];
    const std::uint32_t drains = kBitsOfByte.count[scene.drains];
    const auto n = static_cast<std::uint32_t>(drawn * (steps + drains) >> 32);
    if (n < steps) return {Move::Kind::kStep, kBitsOfByte.position[scene.ready][n], {}, 0};
    return {Move::Kind::kDrain, kBitsOfByte.position[scene.drains][n - steps], {}, 0};
  }

  Random random_;
  Weather weather_;
};

/// A random walk with at most so many preemptions, at steps that are drawn evenly below `horizon`.
/// Elsewhere whoever moves goes on, and somebody is drawn only when it cannot or stands back.
class FewPreemptions final : public Strategy {
 public:
  FewPreemptions(std::uint64_t seed, int bound, std::size_t horizon)
      : random_(seed), horizon_(static_cast<std::uint32_t>(horizon)), at_(bound) {}

  bool begin() override {
    for (std::uint32_t& at : at_) at = random_.below(horizon_);
    step_ = 0;
    odd_ = random_.one_in(2);
    return true;
  }
  Move next(const Scene& scene) override {
    Move move;
    if (odd_ && scene.other_than_steps() && random_.one_in(8)) {
      if (scene.clock && random_.one_in(2)) {
        move.kind = Move::Kind::kTime;
        return move;
      }
      if (scene.asleep != 0) {
        move.kind = Move::Kind::kWake;
        move.worker = one_of(scene.asleep);
        return move;
      }
    }
    if (scene.drains != 0 && (scene.ready == 0 || random_.one_in(4))) {
      move.kind = Move::Kind::kDrain;
      move.worker = one_of(scene.drains);
      return move;
    }
    const std::uint32_t eager = scene.ready & ~scene.yielded;
    const std::uint32_t current = scene.current >= 0 ? 1u << scene.current : 0;
    const bool preempts = std::find(at_.begin(), at_.end(), step_++) != at_.end();
    std::uint32_t among = eager != 0 ? eager : scene.ready;
    if ((among & current) != 0) {
      const std::uint32_t others = scene.ready & ~current;
      among = preempts && others != 0 ? others : current;
    }
    move.worker = one_of(among);
    return move;
  }
  int pick(const Scene&, Choice choice, int n) override {
    if (!odd_ || !random_.one_in(choice == Choice::kWeak ? 8 : 2)) return 0;
    return static_cast<int>(random_.below(static_cast<std::uint32_t>(n)));
  }

 private:
  std::uint8_t one_of(std::uint32_t mask) {
    const auto n = static_cast<std::uint32_t>(std::popcount(mask));
    return static_cast<std::uint8_t>(nth_bit(mask, random_.below(n)));
  }

  Random random_;
  const std::uint32_t horizon_;
  std::vector<std::uint32_t> at_;  // The steps before which somebody else is to go.
  std::uint32_t step_ = 0;
  bool odd_ = false;  // Whether anything but steps by themselves happens.
};

}  // namespace hobbs::explore
