// Test only: small random histories of a lock, half of them as a correct lock could have made them,
// half of those then disturbed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "scenarios/model.h"
#include "scenarios/rules/history/logged_call.h"

namespace hobbs {

/// Small and fast; the same numbers everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint32_t below(std::uint32_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>((state_ * 0x2545f4914f6cdd1du >> 32) * n >> 32);
  }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

struct HistoryShape {
  Claims claims;
  bool shared = false;       // Shared calls too.
  bool conversions = false;  // Upgrades and downgrades too.
  bool deaths = false;
  bool fails = true;     // Tries and timed calls.
  bool foreign = false;  // Releases by others than the one who acquired.
  std::uint32_t workers = 4;
  std::uint32_t calls = 10;
};

/// Owns what a LockLogs points to.
struct SmallHistory {
  std::vector<std::vector<LoggedCall>> logs;
  std::vector<Death> deaths;
  std::vector<SignalWindow> signals;

  LockLogs view() const {
    LockLogs lock;
    for (const auto& log : logs) lock.logs.emplace_back(log);
    lock.deaths = deaths;
    lock.signals = signals;
    return lock;
  }
};

class HistoryMaker {
 public:
  HistoryMaker(const HistoryShape& shape, Dice& dice)
      : shape_(shape), dice_(dice), model_(shape.claims), points_(shape.workers) {
    made_.logs.resize(shape.workers);
    alive_.assign(shape.workers, true);
    depth_.assign(shape.workers, 0);
  }

  SmallHistory make() {
    for (std::uint32_t i = 0; i < shape_.calls; ++i) {
      now_ += dice_.below(4);
      const std::uint32_t w = dice_.below(shape_.workers);
      if (!alive_[w]) continue;
      if (!points_[w].empty() && now_ < points_[w].back() + 2) now_ = points_[w].back() + 2;
      if (shape_.deaths && dice_.one_in(10)) {
        die(w);
      } else {
        call(w);
      }
    }
    spread();
    if (dice_.one_in(2)) disturb();
    if (dice_.one_in(4)) disturb();
    return std::move(made_);
  }

 private:
  Call choose(std::uint32_t w) {
    Call call{.worker = w + 1};
    if (shape_.shared && dice_.one_in(2)) call.mode = Mode::kShared;
    const bool holding = depth_[w] > 0;
    if (holding && !dice_.one_in(4)) {
      call.verb = Verb::kRelease;
      call.mode = model_.holds(state_, w + 1, Mode::kShared) ? Mode::kShared : Mode::kExclusive;
      if (shape_.conversions && dice_.one_in(2)) {
        call.verb = call.mode == Mode::kExclusive ? Verb::kDowngrade
                    : dice_.one_in(2)             ? Verb::kUpgrade
                                                  : Verb::kTryUpgrade;
      }
      return call;
    }
    if (shape_.foreign && dice_.one_in(3)) {
      call.verb = Verb::kRelease;
      return call;
    }
    const std::uint32_t kind = dice_.below(shape_.fails ? 4 : 1);
    call.verb = kind < 2 ? Verb::kAcquire : kind == 2 ? Verb::kTry : Verb::kTimed;
    call.expired = call.verb == Verb::kTimed && dice_.one_in(2);
    return call;
  }

  void call(std::uint32_t w) {
    const Call call = choose(w);
    const Expectation e = model_.expect(state_, call);
    if (e.undefined || e.outcomes.empty()) return;
    Outcome outcome = Outcome::kAcquired;
    do {
      outcome =
          static_cast<Outcome>(dice_.below(static_cast<std::uint32_t>(Outcome::kSystemError)));
    } while (!e.outcomes.contains(outcome));
    model_.apply(state_, call, outcome);
    if (hobbs::holds(outcome) && !is_upgrade(call.verb)) ++depth_[w];
    if (outcome == Outcome::kReleased && call.verb == Verb::kRelease) --depth_[w];
    add(w, call, outcome, false);
  }

  void die(std::uint32_t w) {
    const bool inside = dice_.one_in(2);
    if (inside) {
      const Call call = choose(w);
      const Expectation e = model_.expect(state_, call);
      if (e.undefined) return;
      if (dice_.one_in(2)) {
        for (const Outcome o : {Outcome::kAcquired, Outcome::kOwnerDied, Outcome::kReleased}) {
          if (e.outcomes.contains(o)) {
            model_.apply(state_, call, o);
            break;
          }
        }
      }
      add(w, call, Outcome::kAcquired, true);
      now_ += dice_.below(3);
    }
    if (!dice_.one_in(8)) {  // Else it only hangs in its call when the run ends.
      model_.die(state_, w + 1, inside);
      Death death{.worker = static_cast<std::uint16_t>(w)};
      death.from_ns = now_ - dice_.below(4);
      death.to_ns = now_ + 1 + dice_.below(6);
      made_.deaths.push_back(death);
    }
    alive_[w] = false;
  }

  void add(std::uint32_t w, const Call& call, Outcome outcome, bool pending) {
    LoggedCall logged;
    logged.worker = static_cast<std::uint16_t>(w);
    logged.what = static_cast<std::uint8_t>(call.verb);
    if (call.mode == Mode::kShared) logged.what |= LoggedCall::kSharedBit;
    if (pending) logged.what |= LoggedCall::kPendingBit;
    logged.outcome = outcome;
    logged.patience_ns = call.verb != Verb::kTimed ? INT32_MAX : call.expired ? 0 : 1000;
    made_.logs[w].push_back(logged);
    points_[w].push_back(now_);
  }

  /// Gives each call a window around its instant; a worker's own windows stay apart.
  void spread() {
    for (std::uint32_t w = 0; w < shape_.workers; ++w) {
      std::int64_t free_from = -4;
      for (std::size_t i = 0; i < points_[w].size(); ++i) {
        LoggedCall& call = made_.logs[w][i];
        const std::int64_t at = points_[w][i];
        const std::int64_t before = std::min<std::int64_t>(at - free_from, 9);
        call.invoked_ns = at - dice_.below(static_cast<std::uint32_t>(before) + 1);
        const bool last = i + 1 == points_[w].size();
        const std::int64_t next = !last ? points_[w][i + 1] : std::min(at + 8, end_of(w));
        call.returned_ns = at + dice_.below(static_cast<std::uint32_t>(next - at));
        if (call.returned_ns == call.invoked_ns && call.returned_ns + 1 < next) ++call.returned_ns;
        free_from = call.returned_ns + 1;
        if (call.pending()) call.returned_ns = end_of(w);
        if (call.patience_ns == 0 && dice_.one_in(2)) {
          const std::int64_t until = std::min(call.returned_ns, call.invoked_ns + 1000);
          call.patience_ns = static_cast<std::int32_t>(until - call.invoked_ns);
        }
      }
    }
  }

  std::int64_t end_of(std::uint32_t w) const {
    for (const Death& death : made_.deaths) {
      if (death.worker == w) return death.to_ns;
    }
    return INT64_MAX;
  }

  void disturb() {
    const std::uint32_t w = dice_.below(shape_.workers);
    auto& log = made_.logs[w];
    if (log.empty()) return;
    const std::size_t i = dice_.below(static_cast<std::uint32_t>(log.size()));
    LoggedCall& call = log[i];
    if (call.pending()) return;
    const std::int64_t low = i > 0 ? log[i - 1].returned_ns + 1 : call.invoked_ns - 6;
    std::int64_t high = i + 1 < log.size() ? log[i + 1].invoked_ns - 1 : call.returned_ns + 6;
    high = std::min(high, end_of(w) - 1);
    if (high <= low) return;
    switch (dice_.below(5)) {
      case 0:
      case 1:  // Another window.
        call.invoked_ns = low + dice_.below(static_cast<std::uint32_t>(high - low) + 1);
        call.returned_ns =
            call.invoked_ns + dice_.below(static_cast<std::uint32_t>(high - call.invoked_ns) + 1);
        if (call.verb() == Verb::kTimed && call.outcome == Outcome::kTimedOut) call.patience_ns = 0;
        break;
      case 2:
      case 3:  // Another outcome.
        if (!is_acquire(call.verb())) break;
        if (hobbs::holds(call.outcome) && call.verb() == Verb::kTry) {
          call.outcome = Outcome::kBusy;
        } else if (hobbs::holds(call.outcome) && call.verb() == Verb::kTimed) {
          call.outcome = Outcome::kTimedOut;
          call.patience_ns = dice_.one_in(4) ? 1000 : 0;
        } else if (hobbs::holds(call.outcome)) {
          call.outcome =
              call.outcome == Outcome::kAcquired ? Outcome::kOwnerDied : Outcome::kAcquired;
        } else {
          call.outcome = Outcome::kAcquired;
        }
        break;
      case 4: log.erase(log.begin() + static_cast<std::ptrdiff_t>(i)); break;
    }
  }

  const HistoryShape& shape_;
  Dice& dice_;
  Model model_;
  ModelState state_;
  SmallHistory made_;
  std::vector<std::vector<std::int64_t>> points_;
  std::vector<bool> alive_;
  std::vector<int> depth_;
  std::int64_t now_ = 0;
};

}  // namespace hobbs
