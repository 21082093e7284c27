// Strategies that follow: a given schedule, or priorities drawn once (PCT).
#pragma once

#include <array>
#include <bit>
#include <utility>

#include "harness/explore/strategy.h"

namespace hobbs::explore {

/// Who goes on when nobody says otherwise: the current worker, else the first that does not stand
/// back for others.
inline int ordinary(const Scene& scene) {
  if (scene.current >= 0 && scene.is_ready(scene.current) &&
      (scene.yielded >> scene.current & 1) == 0) {
    return scene.current;
  }
  const std::uint32_t eager = scene.ready & ~scene.yielded;
  return std::countr_zero(eager != 0 ? eager : scene.ready);
}

/// A move without any choice of the strategy's own: a step if anybody can make one, else a drain.
inline Move ordinary_move(const Scene& scene) {
  Move move;
  if (scene.ready != 0) {
    move.worker = static_cast<std::uint8_t>(ordinary(scene));
  } else {
    move.kind = Move::Kind::kDrain;
    move.worker = static_cast<std::uint8_t>(std::countr_zero(scene.drains));
  }
  return move;
}

/// Follows a schedule exactly; behind its end everything is ordinary. A move that is not possible
/// is made all the same, so that the execution is refused: a replay that differs is no replay.
class Replay final : public Strategy {
 public:
  explicit Replay(const Schedule& schedule) : schedule_(schedule) {}
  bool begin() override {
    at_ = 0;
    return true;
  }
  Move next(const Scene& scene) override {
    if (at_ >= schedule_.size()) {
      last_ = ordinary_move(scene);
      return last_;
    }
    last_ = schedule_[at_++];
    return last_;
  }
  int pick(const Scene&, Choice choice, int n) override {
    return last_.choice == choice && last_.amount < n ? last_.amount : 0;
  }

 private:
  const Schedule& schedule_;
  std::size_t at_ = 0;
  Move last_;
};

/// Follows a schedule as far as that is possible: moves that cannot be made are left out, and
/// behind its end everything is ordinary. For finding out whether a changed schedule does the same.
class Outline final : public Strategy {
 public:
  explicit Outline(const Schedule& schedule) : schedule_(schedule) {}
  bool begin() override {
    at_ = 0;
    return true;
  }
  Move next(const Scene& scene) override {
    while (at_ < schedule_.size()) {
      last_ = schedule_[at_++];
      if (is_possible(scene, last_)) return last_;
    }
    return last_ = ordinary_move(scene);
  }
  int pick(const Scene&, Choice choice, int n) override {
    return last_.choice == choice && last_.amount < n ? last_.amount : 0;
  }

 private:
  static bool is_possible(const Scene& scene, const Move& move) {
    switch (move.kind) {
      case Move::Kind::kStep: return scene.is_ready(move.worker);
      case Move::Kind::kDrain: return (scene.drains >> move.worker & 1) != 0;
      case Move::Kind::kTime: return scene.clock;
      case Move::Kind::kWake:
      case Move::Kind::kInterrupt: return (scene.asleep >> move.worker & 1) != 0;
    }
    return false;
  }

  const Schedule& schedule_;
  std::size_t at_ = 0;
  Move last_;
};

/// Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): the ready worker with the
/// highest priority runs; at d-1 random steps its priority falls below all others. Finds a bug of
/// depth d with a known probability. Reads are as stale as the random walk's, half of the time.
class Priorities final : public Strategy {
 public:
  Priorities(std::uint64_t seed, int depth) : random_(seed), depth_(depth) {}

  bool begin() override {
    for (int i = 0; i < kMaxFibres; ++i) priority_[i] = i + kMaxChanges;
    for (int i = kMaxFibres - 1; i > 0; --i) {
      std::swap(priority_[i], priority_[random_.below(static_cast<std::uint32_t>(i) + 1)]);
    }
    for (int i = 0; i < depth_ - 1; ++i) change_at_[i] = static_cast<int>(random_.below(horizon_));
    step_ = 0;
    stale_ = random_.one_in(2);
    eager_time_ = random_.one_in(2);
    return true;
  }
  Move next(const Scene& scene) override {
    for (int i = 0; i < depth_ - 1; ++i) {
      if (change_at_[i] == step_ && scene.current >= 0) priority_[scene.current] = i;
    }
    ++step_;
    Move move;
    if (scene.clock && eager_time_ && random_.one_in(24)) {
      move.kind = Move::Kind::kTime;
      return move;
    }
    if (scene.drains != 0 && (scene.ready == 0 || random_.one_in(4))) {
      move.kind = Move::Kind::kDrain;
      move.worker = static_cast<std::uint8_t>(nth_bit(
          scene.drains, random_.below(static_cast<std::uint32_t>(std::popcount(scene.drains)))));
      return move;
    }
    // Whoever stands back loses its priority: else it would spin for ever before the others.
    for (int w = 0; w < scene.workers; ++w) {
      if ((scene.yielded >> w & 1) != 0) priority_[w] = -step_;
    }
    int best = -1;
    for (int w = 0; w < scene.workers; ++w) {
      if (scene.is_ready(w) && (best < 0 || priority_[w] > priority_[best])) best = w;
    }
    move.worker = static_cast<std::uint8_t>(best);
    return move;
  }
  int pick(const Scene&, Choice choice, int n) override {
    if (choice == Choice::kWeak) return random_.one_in(8) ? 1 : 0;
    return stale_ && random_.one_in(2)
               ? static_cast<int>(random_.below(static_cast<std::uint32_t>(n)))
               : 0;
  }
  void end() override {
    if (step_ > static_cast<int>(horizon_)) horizon_ = static_cast<std::uint32_t>(step_);
  }

 private:
  static constexpr int kMaxChanges = 8;
  Random random_;
  const int depth_;
  std::array<int, kMaxFibres> priority_{};
  std::array<int, kMaxChanges> change_at_{};
  std::uint32_t horizon_ = 16;  // The longest execution met: where the changes may fall.
  int step_ = 0;
  bool stale_ = false;
  bool eager_time_ = false;
};

}  // namespace hobbs::explore
