// Test only: decides a small history by trying every order of effects the windows allow, against
// the model. Slow and obviously right: after each event it holds the set of all (model state, calls
// that have taken effect) that can be reached.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "scenarios/model.h"
#include "scenarios/rules/history/logged_call.h"
#include "scenarios/rules/history/merge.h"

namespace hobbs {

enum class PlainVerdict { kLegal, kIllegal, kOutside };

class PlainSearch {
 public:
  PlainSearch(const Claims& claims, Home home, const LockLogs& lock)
      : claims_(claims), model_(claims, home), lock_(lock) {
    for (std::size_t w = 0; w < lock.logs.size(); ++w) {
      if (!lock.process.empty()) model_.place(static_cast<std::uint32_t>(w) + 1, lock.process[w]);
      int previous = -1;
      for (const LoggedCall& call : lock.logs[w]) {
        steps_.push_back({.call = &call,
                          .from = call.invoked_ns,
                          .to = call.returned_ns,
                          .worker = static_cast<std::uint32_t>(w) + 1,
                          .after = previous});
        previous = static_cast<int>(steps_.size()) - 1;
      }
      for (const Death& death : lock.deaths) {
        if (death.worker != w) continue;
        const std::int64_t from = earliest_of(death, lock.logs[w]);
        steps_.push_back({.call = nullptr,
                          .from = from,
                          .to = std::max(death.to_ns, from),
                          .worker = static_cast<std::uint32_t>(w) + 1,
                          .after = previous});
      }
    }
  }

  PlainVerdict run() {
    struct Event {
      std::int64_t at;
      bool end;  // At one instant beginnings precede ends.
      int step;
    };
    std::vector<Event> events;
    for (int i = 0; i < static_cast<int>(steps_.size()); ++i) {
      events.push_back({steps_[static_cast<std::size_t>(i)].from, false, i});
      events.push_back({steps_[static_cast<std::size_t>(i)].to, true, i});
    }
    std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
      return a.at != b.at ? a.at < b.at : a.end < b.end;
    });
    reached_.assign(1, {});
    reached_.reserve(64);
    for (const Event& event : events) {
      if (!event.end) {
        open_ |= bit(event.step);
        close_under_effects();
        continue;
      }
      const Step& step = steps_[static_cast<std::size_t>(event.step)];
      const bool optional = step.call != nullptr && step.call->pending();
      if (!optional) {
        std::erase_if(reached_, [&](const Point& p) { return (p.done & bit(event.step)) == 0; });
      }
      open_ &= ~bit(event.step);
      if (reached_.empty()) return outside_ ? PlainVerdict::kOutside : PlainVerdict::kIllegal;
      close_under_effects();  // A failure may owe its excuse to who is open now.
    }
    return PlainVerdict::kLegal;
  }

 private:
  struct Step {
    const LoggedCall* call;  // Null: the death.
    std::int64_t from;
    std::int64_t to;
    std::uint32_t worker;
    int after;  // The worker's step before, or -1.
  };
  struct Point {
    std::uint64_t done = 0;
    ModelState state;
  };

  static std::uint64_t bit(int step) { return std::uint64_t{1} << step; }

  void close_under_effects() {
    for (std::size_t i = 0; i < reached_.size(); ++i) {
      for (int s = 0; s < static_cast<int>(steps_.size()); ++s) {
        if ((open_ & bit(s)) != 0 && (reached_[i].done & bit(s)) == 0) take_effect(i, s);
      }
    }
  }

  void take_effect(std::size_t from, int s) {
    const Step& step = steps_[static_cast<std::size_t>(s)];
    const std::uint64_t done = reached_[from].done;
    const bool previous_pends =
        step.after >= 0 && steps_[static_cast<std::size_t>(step.after)].call->pending();
    if (step.after >= 0 && (done & bit(step.after)) == 0 && !previous_pends) return;
    const ModelState state = reached_[from].state;
    if (step.call == nullptr) {
      ModelState next = state;
      model_.die(next, step.worker, previous_pends);
      // What it was in the middle of cannot take effect any more.
      add({done | bit(s) | (previous_pends ? bit(step.after) : 0), next});
      return;
    }
    const Call call = call_of(step);
    if (step.call->pending()) {
      for (const Outcome outcome : {Outcome::kAcquired, Outcome::kOwnerDied, Outcome::kReleased}) {
        effect(state, done | bit(s), call, outcome);
      }
      return;
    }
    const Outcome outcome = step.call->outcome;
    const bool no_effect = outcome == Outcome::kSystemError || outcome == Outcome::kBadArgument;
    if (no_effect || excused(step, call, state)) add({done | bit(s), state});
    if (!no_effect) effect(state, done | bit(s), call, outcome);
  }

  void effect(const ModelState& state, std::uint64_t done, const Call& call, Outcome outcome) {
    if (model_.expect(state, call).undefined) {
      outside_ = true;
      return;
    }
    ModelState next = state;
    if (model_.apply(next, call, outcome)) add({done, next});
  }

  void add(const Point& point) {
    for (const Point& known : reached_) {
      if (known.done == point.done && known.state == point.state) return;
    }
    reached_.push_back(point);
  }

  Call call_of(const Step& step) const {
    const LoggedCall& logged = *step.call;
    Call call{.worker = step.worker, .verb = logged.verb(), .mode = logged.mode()};
    call.expired = logged.expired();
    for (const SignalWindow& s : lock_.signals) {
      call.signalled |= s.worker + 1u == step.worker && s.from_ns <= logged.returned_ns &&
                        s.to_ns >= logged.invoked_ns;
    }
    for_each_open_other(step, [&](const LoggedCall& other) {
      const bool waits =
          is_upgrade(other.verb()) || (is_acquire(other.verb()) && other.verb() != Verb::kTry &&
                                       other.mode() == Mode::kExclusive);
      call.exclusive_waiting |= waits;
    });
    return call;
  }

  /// A failure at this instant is no fault: a conflicting wait that will be given up is under way.
  bool excused(const Step& step, const Call& call, const ModelState& state) const {
    const bool fails =
        (call.verb == Verb::kTry && step.call->outcome == Outcome::kBusy) ||
        (call.verb == Verb::kTimed && call.expired && step.call->outcome == Outcome::kTimedOut);
    if (!fails || model_.holds(state, step.worker, Mode::kExclusive) ||
        model_.holds(state, step.worker, Mode::kShared)) {
      return false;
    }
    bool found = false;
    for_each_open_other(step, [&](const LoggedCall& other) {
      const Outcome o = other.outcome;
      const bool gives_up = is_acquire(other.verb()) && other.verb() != Verb::kTry &&
                            !other.pending() && !hobbs::holds(o) && o != Outcome::kSystemError &&
                            o != Outcome::kBadArgument;
      found |= gives_up && (other.mode() == Mode::kExclusive || call.mode == Mode::kExclusive);
    });
    return found;
  }

  template <class Visit>
  void for_each_open_other(const Step& step, Visit visit) const {
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      const Step& other = steps_[s];
      if ((open_ & bit(static_cast<int>(s))) != 0 && other.worker != step.worker &&
          other.call != nullptr) {
        visit(*other.call);
      }
    }
  }

  const Claims& claims_;
  Model model_;
  const LockLogs& lock_;
  std::vector<Step> steps_;
  std::vector<Point> reached_;
  std::uint64_t open_ = 0;
  bool outside_ = false;
};

}  // namespace hobbs
