#include <algorithm>
#include <bit>

#include "harness/explore/judge_calls.h"

namespace hobbs::explore {
namespace {

std::string call_name(const Step& step) {
  const bool shared = step.mode == Mode::kShared;
  switch (step.verb) {
    case Verb::kAcquire: return shared ? "lock_shared()" : "lock()";
    case Verb::kTry: return shared ? "try_lock_shared()" : "try_lock()";
    case Verb::kTimed: return shared ? "try_lock_shared_until()" : "try_lock_until()";
    case Verb::kUpgrade: return "upgrade()";
    case Verb::kTryUpgrade: return "try_upgrade()";
    case Verb::kDowngrade: return "downgrade()";
    default: return shared ? "unlock_shared()" : "unlock()";
  }
}

}  // namespace

Judge::Judge(const LockSpec& lock) : lock_(lock), model_(lock), overtaking_(lock.claims) {
  begin(true);
}

void Judge::begin(bool exact) {
  exact_ = exact;
  watches_order_ = exact && overtaking_.promises();
  if (watches_order_) overtaking_.begin();
  for (int l = 0; l < locks_used_; ++l) {
    clear_blocks(states_[static_cast<unsigned>(l)]);
    clear_blocks(windows_[static_cast<unsigned>(l)]);
  }
  locks_used_ = 1;
  n_ = 0;
  unsettled_ = seeking_ = deaths_ = maybe_took_ = 0;
  timed_out_ = try_failed_ = false;
  events_ = 0;
}

void Judge::place(int w, std::uint32_t id, std::uint32_t process) {
  Watched& me = workers_[w];
  me.calling = me.signalled = false;
  me.owed = 0;
  forked_from_[w] = kNobody;
  last_release_call_[w] = last_acquire_return_[w] = 0;
  last_was_exclusive_[w] = false;
  if (w >= n_) n_ = w + 1;
  if (me.id != id) me.id = id;
  model_.place(id, process);
}

std::string Judge::name(int w) const { return "worker " + std::to_string(w + 1); }

bool Judge::fail(std::string rule, std::string text) {
  broken_ = {std::move(rule), std::move(text)};
  return false;
}

bool Judge::exclusive_waiting(int w) const {
  for (int u = 0; u < n_; ++u) {
    const Watched& other = workers_[u];
    if (u != w && other.calling && other.step.lock == workers_[w].step.lock &&
        (upgrading(other.step.verb) ||
         (acquiring(other.step.verb) && other.step.mode == Mode::kExclusive))) {
      return true;
    }
  }
  return false;
}

/// Those who wait although nobody can move inside a call have their place in the line.
void Judge::settle_line(std::uint32_t ready) {
  unsettled_ &= ~ready;
  for (int w = 0; w < n_; ++w) {
    if ((ready >> w & 1) != 0 && workers_[w].calling) return;
  }
  for (; unsettled_ != 0; unsettled_ &= unsettled_ - 1) {
    overtaking_.waits(std::countr_zero(unsettled_));
  }
}

/// Of a call that may fail: it needs an excuse, and a timed one has a deadline.
void Judge::begins_to_seek(int w, std::int64_t now_ns, std::int64_t deadline_ns) {
  Watched& me = workers_[w];
  me.excused = false;
  me.overlapped = 0;
  me.deadline_ns = deadline_ns;
  me.expired_at_start = me.step.verb == Verb::kTimed && deadline_ns <= now_ns;
  look_for_excuse(w);
  if (acquiring(me.step.verb)) seeking_ |= 1u << w;
}

void Judge::let_others_look_for_excuses(int w) {
  for (std::uint32_t others = seeking_ & ~(1u << w); others != 0; others &= others - 1) {
    look_for_excuse(std::countr_zero(others));
  }
}

/// Whether a call or hold of `other` may be why `step` of w fails.
bool Judge::excuses(int w, int other, const Step& step) const {
  const Window& window = windows_[step.lock][static_cast<unsigned>(other)];
  if (window.open == 0 || other == w) return false;
  if (lock_.claims.semaphore) return true;  // Counted by the caller.
  return window.exclusive || step.mode == Mode::kExclusive;
}

void Judge::look_for_excuse(int w) {
  Watched& me = workers_[w];
  if (me.excused || me.step.verb == Verb::kAcquire) return;
  std::uint32_t certain = 0, undecided = 0;
  std::uint32_t permits = 0;
  for (int u = 0; u < n_; ++u) {
    const Window& window = windows_[me.step.lock][static_cast<unsigned>(u)];
    if (lock_.claims.semaphore && u == w) permits += window.open - 1u;  // Its own earlier permits.
    if (!excuses(w, u, me.step)) continue;
    (window.try_only ? undecided : certain) |= 1u << u;
    permits += window.open;
  }
  if (lock_.claims.semaphore) {
    if (permits >= lock_.claims.permits) me.excused = true;
    return;
  }
  if (certain != 0) me.excused = true;
  me.overlapped |= undecided;
}

std::string Judge::holders(int lock) const {
  const ModelState& state = states_[static_cast<unsigned>(lock)];
  std::string text;
  for (int u = 0; u < n_; ++u) {
    const bool exclusive = model_.holds(state, workers_[u].id, Mode::kExclusive);
    if (!exclusive && !model_.holds(state, workers_[u].id, Mode::kShared)) continue;
    if (!text.empty()) text += " and ";
    text += name(u) + (exclusive ? "" : " (shared)");
  }
  return text.empty() ? "nobody" : text;
}

bool Judge::fail_order(int w, const Overtaking::Broken& broken) {
  std::string text = call_name(workers_[w].step) + " of " + name(w) + " was called while " +
                     name(broken.passed) + " could be seen to wait in " +
                     call_name(workers_[broken.passed].step) + ", and got the lock first";
  if (broken.times > 1) text += ", " + std::to_string(broken.times) + " times";
  return fail(broken.rule, text);
}

bool Judge::releases_unheld(int w) {
  return fail("HX-5", "the program releases what " + name(w) + " does not hold");
}

/// The model does not let w have the lock; but whoever died inside a call may have held it then.
bool Judge::took_from_the_dead(int w, Outcome outcome) {
  const Step& step = workers_[w].step;
  if (maybe_took_ == 0) return conflict(w, outcome);
  const int dead = std::countr_zero(maybe_took_);
  maybe_took_ = 0;
  const Call before{
      .worker = workers_[dead].id, .verb = Verb::kAcquire, .mode = workers_[dead].step.mode};
  ModelState& state = states_[step.lock];
  model_.apply(state, before, Outcome::kAcquired);
  return model_.apply(state, call_of(w, step), outcome) || conflict(w, outcome);
}

bool Judge::ends_without(int w, Outcome outcome, std::int64_t now_ns) {
  const Step& step = workers_[w].step;
  Window& window = windows_[step.lock][static_cast<unsigned>(w)];
  --window.open;
  if (upgrading(step.verb)) window.exclusive = false;
  if (watches_order_) overtaking_.gives_up(w);
  if (!check_failure(w, outcome, now_ns)) return false;
  if (step.verb != Verb::kTry) return true;
  window.try_only = false;
  return settle_owed(w, false);
}

/// Of a release that was refused or should have been, and of a downgrade.
bool Judge::check_release(int w, Outcome outcome) {
  const Step& step = workers_[w].step;
  if (step.verb == Verb::kMisuse) {
    // Where anybody may release, it may have been somebody's hold or permit that it gave back.
    const bool anybody = lock_.claims.releaser == Releaser::kAnyone;
    if (outcome != Outcome::kReleased || !lock_.claims.checks_misuse || anybody) return true;
    return fail("MU-2",
                name(w) + " released a lock that it does not hold, and was told so was done");
  }
  if (lock_.claims.bounded_release && step.verb == Verb::kRelease && somebody_misuses() &&
      (outcome == Outcome::kOverRelease || outcome == Outcome::kNotLocked)) {
    return true;  // A permit is anybody's to give back: somebody else may have been first.
  }
  return fail("MU-2", call_name(step) + " of " + name(w) + ", which holds the lock, ended with \"" +
                          std::string(to_string(outcome)) + "\"");
}

/// Whether a worker has released what it did not hold, or is about to: it may have been let.
bool Judge::somebody_misuses() const {
  return std::any_of(workers_.begin(), workers_.begin() + n_,
                     [](const Watched& worker) { return worker.step.verb == Verb::kMisuse; });
}

bool Judge::conflict(int w, Outcome outcome) {
  const Watched& me = workers_[w];
  const ModelState& state = states_[me.step.lock];
  const std::string got = call_name(me.step) + " of " + name(w) + " returned \"" +
                          std::string(to_string(outcome)) + "\" ";
  if (lock_.claims.semaphore) {
    return fail("ME-6",
                got + "while all " + std::to_string(lock_.claims.permits) + " permits were held");
  }
  if (state.owner == me.id) {
    return fail("ME-1", got + "although it held the lock already, which is not re-entrant");
  }
  const int parent = forked_from_[w];
  if (parent != kNobody && model_.holds(state, workers_[parent].id, Mode::kExclusive)) {
    return fail("RE-2", got + "while its parent " + name(parent) + " held the lock");
  }
  if (outcome == Outcome::kOwnerDied) return fail("CR-3", got + "though no holder had died");
  const std::string who = got + "while " + holders(me.step.lock) + " held the lock";
  if (upgrading(me.step.verb)) return fail("RW-4", who);
  if (me.step.mode == Mode::kShared || state.owner == 0) return fail("RW-1", who);
  if (lock_.claims.reentrant && state.depth > 1) {
    return fail("RE-1", who + " " + std::to_string(state.depth) + " times");
  }
  return fail(me.step.verb == Verb::kAcquire ? "ME-1" : "ME-3", who);
}

bool Judge::check_failure(int w, Outcome outcome, std::int64_t now_ns) {
  Watched& me = workers_[w];
  const ModelState& state = states_[me.step.lock];
  const std::string failed = call_name(me.step) + " of " + name(w) + " ended with \"" +
                             std::string(to_string(outcome)) + "\" ";
  if (outcome == Outcome::kInterrupted && me.signalled) return true;
  if (upgrading(me.step.verb)) {
    if (outcome == Outcome::kUpgradeRefused) return true;
    return fail("TR-4", failed + "which an upgrade may not");
  }
  if (model_.holds(state, me.id, Mode::kExclusive) || model_.holds(state, me.id, Mode::kShared)) {
    Call call = call_of(w, me.step);
    call.expired = me.step.verb == Verb::kTimed && now_ns >= me.deadline_ns;
    if (model_.expect(state, call).allows(outcome)) return true;
    return fail("RE-5", failed + "although it holds the lock, which is re-entrant");
  }
  const Outcome expected = me.step.verb == Verb::kTry ? Outcome::kBusy : Outcome::kTimedOut;
  if (me.step.verb == Verb::kAcquire || outcome != expected) {
    return fail("TR-4", failed + "which it may not");
  }
  if (me.step.verb == Verb::kTimed) {
    timed_out_ = true;
    if (me.deadline_ns == INT64_MAX) {
      return fail("TO-9", failed + "although it was to wait for ever");
    }
    if (now_ns < me.deadline_ns) {
      return fail("TO-1",
                  failed + std::to_string(me.deadline_ns - now_ns) + " ns before its deadline");
    }
  } else {
    try_failed_ = true;
  }
  if (!exact_ || me.excused || lock_.claims.spurious_try_failure || deaths_ != 0) return true;
  if (me.overlapped != 0) {  // It may have lost against a try that is still under way.
    me.owed = me.overlapped;
    return true;
  }
  if (me.step.verb == Verb::kTry) {
    return fail("TR-2", failed + "although nobody held or wanted the lock during the call");
  }
  return me.expired_at_start
             ? fail("TO-3", failed +
                                "although the lock was free: a deadline that has passed "
                                "must not keep it from being taken")
             : fail("TO-5", failed + "although the lock was free throughout the call");
}

/// The try of `decided` has ended. Failures that only it could explain are explained, or not.
bool Judge::settle_owed(int decided, bool took) {
  const std::uint32_t bit = 1u << decided;
  for (int u = 0; u < n_; ++u) {
    Watched& other = workers_[u];
    if (other.calling && (other.overlapped & bit) != 0) {
      if (took) {
        other.excused = true;
      } else {
        other.overlapped &= ~bit;
      }
    }
    if ((other.owed & bit) == 0) continue;
    if (took) {
      other.owed = 0;
    } else if ((other.owed &= ~bit) == 0) {
      return fail("TR-2", "the try of " + name(u) +
                              " failed although nobody held the lock during it: " + name(decided) +
                              " only tried, too, and failed (where tries may do that, the lock is "
                              "to claim spurious_try_failure)");
    }
  }
  return true;
}

bool Judge::waits(int w, std::int64_t wait_deadline_ns) {
  constexpr std::uint64_t kSlackNs = 1'000'000;  // Rounding up to a clock tick is no lateness.
  const Watched& me = workers_[w];
  if (!me.calling || me.step.verb != Verb::kTimed || wait_deadline_ns == INT64_MAX ||
      wait_deadline_ns <= me.deadline_ns) {
    return true;
  }
  // Unsigned, as a lock may have computed any deadline.
  const std::uint64_t late_ns =
      static_cast<std::uint64_t>(wait_deadline_ns) - static_cast<std::uint64_t>(me.deadline_ns);
  if (late_ns <= kSlackNs) return true;
  return fail("TO-2", call_name(me.step) + " of " + name(w) + " sleeps until " +
                          std::to_string(late_ns / 1000) + " us after its deadline");
}

void Judge::dies(int w) {
  Watched& me = workers_[w];
  if (watches_order_) overtaking_.gives_up(w);
  deaths_ |= 1u << w;
  for (int l = 0; l < locks_used_; ++l) {
    const bool in_this = me.calling && me.step.lock == l;
    // Inside an acquire it may have got the lock already, inside a release it may have it still.
    if (in_this && (acquiring(me.step.verb) || releasing(me.step.verb))) maybe_took_ = 1u << w;
    model_.die(states_[static_cast<unsigned>(l)], me.id, in_this);
    windows_[static_cast<unsigned>(l)][w] = {};
  }
  me.calling = false;
  seeking_ &= ~(1u << w);
}

bool Judge::may_wait(int w) const {
  const Watched& me = workers_[w];
  if (!me.calling || !(acquiring(me.step.verb) || upgrading(me.step.verb))) return true;
  const Expectation e = model_.expect(states_[me.step.lock], call_of(w, me.step));
  return e.may_wait || e.undefined;
}

bool Judge::behind_readers(int w) const {
  const Watched& me = workers_[w];
  return me.calling && me.step.mode == Mode::kShared && states_[me.step.lock].sharers != 0;
}

bool Judge::nothing_moves(std::uint32_t blocked, std::uint32_t meeting) {
  int upgraders = 0;
  for (int w = 0; w < n_; ++w) {
    if ((blocked >> w & 1) == 0 || !workers_[w].calling) continue;
    const Watched& me = workers_[w];
    const std::string stuck = name(w) + " is stuck in " + call_name(me.step);
    if (releasing(me.step.verb) || me.step.verb == Verb::kDowngrade) {
      return fail("LV-2", stuck + ", which must not wait");
    }
    if (upgrading(me.step.verb)) ++upgraders;
    if (me.step.verb == Verb::kTry) return fail("TR-1", stuck + ", which must not wait");
    if (me.step.verb == Verb::kTimed && me.deadline_ns != INT64_MAX && meeting != 0) {
      return fail("TO-3", stuck + ", whatever the time: it waits without a deadline");
    }
    if (may_wait(w)) continue;
    if (deaths_ != 0) {
      std::string dead;
      for (std::uint32_t left = deaths_; left != 0; left &= left - 1) {
        dead += (dead.empty() ? "" : " and ") + name(std::countr_zero(left));
      }
      const char* const rule = (deaths_ & (deaths_ - 1)) != 0 ? "CR-8" : "CR-5";
      return fail(rule, stuck + " for ever after " + dead + " died: nobody recovers the lock");
    }
    const ModelState& state = states_[me.step.lock];
    if (lock_.claims.reentrant &&
        (model_.holds(state, me.id, Mode::kExclusive) ||
         (me.step.mode == Mode::kShared && model_.holds(state, me.id, Mode::kShared)))) {
      return fail("RE-1", stuck + " although it holds the lock, which is re-entrant");
    }
    if (me.step.mode == Mode::kShared && (meeting != 0 || behind_readers(w))) {
      return fail(timed_out_ ? "TO-7" : "RW-2",
                  stuck + " although only readers hold the lock (" + holders(me.step.lock) + ")");
    }
    return fail("LV-1", stuck +
                            " although the lock is free and nobody else moves: a wakeup was "
                            "lost, or the lock was left taken");
  }
  if (upgraders > 1 && locks_used_ == 1 && deaths_ == 0)
    return fail("RW-7", "two workers wait for each other in upgrade()");
  return true;
}

bool Judge::any_held() const {
  for (int l = 0; l < locks_used_; ++l) {
    if (model_.held(states_[static_cast<unsigned>(l)]) != 0) return true;
  }
  return false;
}

bool Judge::was_last(int w, int lock) const {
  if (!last_was_exclusive_[w]) return false;
  for (int u = 0; u < n_; ++u) {
    if (u == w) continue;
    if (windows_[static_cast<unsigned>(lock)][static_cast<unsigned>(u)].open != 0 &&
        !(workers_[u].calling && releasing(workers_[u].step.verb))) {
      return false;
    }
    if (last_release_call_[u] > last_acquire_return_[w]) return false;
  }
  return true;
}

}  // namespace hobbs::explore
