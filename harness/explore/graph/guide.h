// The strategy that makes the ordinary explorer do what an execution graph tells.
#pragma once

#include <utility>
#include <vector>

#include "harness/explore/graph/linear_order.h"
#include "harness/explore/guided.h"

namespace hobbs::explore::graph {

/// Follows the items as closely as it can; behind their end everything is ordinary. Steps that a
/// graph knows nothing of (a worker resumes, pauses, ends a section, begins a call) are made when
/// the worker's next item is due.
class Guide final : public Strategy {
 public:
  explicit Guide(std::vector<Item> items) : items_(std::move(items)) {}

  bool begin() override {
    at_ = 0;
    fillers_ = 0;
    lost_ = time_told_ = false;
    current_ = nullptr;
    return true;
  }

  Move next(const Scene& scene) override {
    current_ = nullptr;
    while (at_ < items_.size() && !lost_) {
      const Item& item = items_[at_];
      const bool can_drain = (scene.drains >> item.worker & 1) != 0;
      if (!item.step || (item.drain && !can_drain)) {
        take();
        continue;
      }
      if (item.drain) {
        take();
        return of(Move::Kind::kDrain, item.worker);
      }
      if (item.time && !time_told_ && scene.clock) {
        time_told_ = true;
        return of(Move::Kind::kTime, 0);
      }
      if (fillers_ > kMostFillers) break;
      if (!scene.is_ready(item.worker)) {
        if (!scene.clock) break;
        ++fillers_;
        return of(Move::Kind::kTime, 0);
      }
      if (item.resumes || scene.pending[item.worker].kind == item.kind) {
        current_ = &item;
        take();
      } else {
        ++fillers_;
      }
      return of(Move::Kind::kStep, item.worker);
    }
    lost_ = at_ < items_.size();
    return ordinary_move(scene);
  }

  void goes_on(const Scene& scene) override {
    if (at_ >= items_.size() || lost_) return;
    const Item& item = items_[at_];
    if (item.worker != scene.current || scene.pending[item.worker].kind != item.kind) return;
    current_ = &item;
    take();
  }

  int pick(const Scene&, Choice choice, int n) override {
    if (current_ == nullptr) return 0;
    if (choice == Choice::kWeak) return current_->weak_fails ? 1 : 0;
    if (current_->back >= n) lost_ = true;
    return current_->back < n ? current_->back : 0;
  }

  bool empty() const { return items_.empty(); }
  /// Whether the execution had to leave the items.
  bool lost() const { return lost_; }

 private:
  static constexpr int kMostFillers = 4000;
  void take() {
    ++at_;
    time_told_ = false;
  }
  static Move of(Move::Kind kind, int worker) {
    return {kind, static_cast<std::uint8_t>(worker), Choice::kNone, 0};
  }

  const std::vector<Item> items_;
  std::size_t at_ = 0;
  int fillers_ = 0;
  bool lost_ = false;
  bool time_told_ = false;
  const Item* current_ = nullptr;
};

}  // namespace hobbs::explore::graph
