// Every execution with at most so many preemptions (Musuvathi and Qadeer, PLDI 2007: known lock
// bugs need three at most) or delays (Emmi, Qadeer and Rakamaric, POPL 2011), one after the other.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "harness/explore/guided.h"
#include "harness/explore/strategy.h"

namespace hobbs::explore {

/// A choice that was made, and among how many.
struct Branch {
  int taken;
  int count;
};

/// Branches in plain memory of their own, so that processes may share a search. push_back() must
/// not exceed `kMax`.
template <std::size_t kMax>
class FixedBranches {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Branch& operator[](std::size_t i) { return branches_[i]; }
  Branch& back() { return branches_[size_ - 1]; }
  void push_back(const Branch& branch) { branches_[size_++] = branch; }
  void pop_back() { --size_; }

 private:
  std::array<Branch, kMax> branches_;
  std::size_t size_ = 0;
};

/// What a bound counts. Preemptions: switches away from a worker that could go on; who follows one
/// that cannot is free. Delays: workers take turns, each for as long as it can go on, and to pass
/// over the one whose turn it is costs one each time. With many workers there are far fewer
/// executions within a bound of delays.
enum class Bounds : std::uint8_t { kPreemptions, kDelays };

/// Depth first over all choices: who moves (at the cost that `bounds` says), which value a read
/// takes, which weak compare-exchange fails for no reason, who looks on in vain and when the clock
/// moves ahead (each of these three costs one as well). begin() returns false when nothing is left.
/// `Branches` keeps the choices of the current execution, and what is left of each.
template <class Branches>
class BoundedSearchOn final : public Strategy {
 public:
  explicit BoundedSearchOn(int bound, Bounds bounds = Bounds::kPreemptions)
      : bound_(bound), bounds_(bounds) {}

  bool begin() override {
    if (started_ && !backtrack()) return false;
    started_ = true;
    depth_ = 0;
    spent_ = 0;
    return true;
  }

  Move next(const Scene& scene) override {
    n_options_ = 0;
    if (scene.ready != 0) bounds_ == Bounds::kDelays ? add_turns(scene) : add_switches(scene);
    for (int w = 0; w < scene.workers; ++w) {
      if ((scene.drains >> w & 1) != 0) add(Move::Kind::kDrain, w, 0);
    }
    if (scene.clock) add(Move::Kind::kTime, 0, 1);
    const Option& chosen = options_[static_cast<std::size_t>(decide(n_options_))];
    spent_ += chosen.cost;
    return chosen.move;
  }

  int pick(const Scene&, Choice choice, int n) override {
    if (choice != Choice::kWeak && choice != Choice::kPersist) {
      return decide(static_cast<std::size_t>(n));
    }
    // A weak compare-exchange that fails for no reason again and again is no execution of interest;
    // to go on looking while others could move is to preempt them.
    if (spent_ >= bound_) return 0;
    const int picked = decide(static_cast<std::size_t>(n));
    spent_ += picked;
    return picked;
  }

  int bound() const { return bound_; }
  /// How often a world did not repeat itself, so that a choice was among others than before.
  std::uint64_t divergences() const { return divergences_; }

 private:
  struct Option {
    Move move;
    int cost;
  };
  void add_switches(const Scene& scene) {
    const int usual = ordinary(scene);
    const bool free_switch = usual != scene.current;  // The current one cannot, or will not, go on.
    add(Move::Kind::kStep, usual, 0);
    for (int w = 0; w < scene.workers; ++w) {
      if (w == usual || !scene.is_ready(w)) continue;
      const bool stands_back = (scene.yielded >> w & 1) != 0;
      if (!stands_back) add(Move::Kind::kStep, w, free_switch ? 0 : 1);
    }
  }
  /// Whoever stands back for others has no turn as long as there are any.
  void add_turns(const Scene& scene) {
    const std::uint32_t eager = scene.ready & ~scene.yielded;
    const std::uint32_t among = eager != 0 ? eager : scene.ready;
    const int first = std::max(scene.current, 0);
    int delays = 0;
    for (int i = 0; i < scene.workers; ++i) {
      const int w = (first + i) % scene.workers;
      if ((among >> w & 1) != 0) add(Move::Kind::kStep, w, delays++);
    }
  }
  void add(Move::Kind kind, int worker, int cost) {
    if (spent_ + cost > bound_) return;
    Move move;
    move.kind = kind;
    move.worker = static_cast<std::uint8_t>(worker);
    options_[n_options_++] = {move, cost};
  }
  int decide(std::size_t count) {
    if (depth_ == branches_.size()) branches_.push_back({0, static_cast<int>(count)});
    Branch& branch = branches_[depth_++];
    if (branch.count != static_cast<int>(count)) [[unlikely]] {
      ++divergences_;
      branch.count = static_cast<int>(count);
      branch.taken = std::min(branch.taken, branch.count - 1);
    }
    return branch.taken;
  }
  bool backtrack() {
    while (!branches_.empty() && branches_.back().taken + 1 >= branches_.back().count) {
      branches_.pop_back();
    }
    if (branches_.empty()) return false;
    ++branches_.back().taken;
    return true;
  }

  const int bound_;
  const Bounds bounds_;
  Branches branches_;
  std::array<Option, 2 * kMaxFibres + 1> options_;  // Steps, drains and the time.
  std::size_t n_options_ = 0;
  std::size_t depth_ = 0;
  std::uint64_t divergences_ = 0;
  int spent_ = 0;
  bool started_ = false;
};

using BoundedSearch = BoundedSearchOn<std::vector<Branch>>;

}  // namespace hobbs::explore
