// What the judge does when a call begins and when it ends: definitions for those who run locks.
//
// In line, because nearly all that an execution asks of the judge is this, and each kind of call
// needs little of it.
#pragma once

#include <bit>

#include "harness/explore/judge.h"

namespace hobbs::explore {

constexpr bool acquiring(Verb verb) {
  return verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed;
}
/// A try takes what is free; it has no place in a line.
constexpr bool waits_in_line(Verb verb) { return verb == Verb::kAcquire || verb == Verb::kTimed; }
constexpr bool upgrading(Verb verb) { return verb == Verb::kUpgrade || verb == Verb::kTryUpgrade; }
constexpr bool releasing(Verb verb) {
  return verb == Verb::kRelease || verb == Verb::kPost || verb == Verb::kMisuse;
}

[[gnu::always_inline]] inline Call Judge::call_of(int w, Step step) const {
  const Watched& me = workers_[w];
  Call call{.worker = me.id, .verb = step.verb, .mode = step.mode};
  call.signalled = me.signalled;
  // Only who comes as a reader is ever held back for others that wait.
  call.exclusive_waiting =
      (step.mode == Mode::kShared || upgrading(step.verb)) && exclusive_waiting(w);
  return call;
}

[[gnu::always_inline]] inline bool Judge::begins(int w, Step step, std::int64_t now_ns,
                                                 std::int64_t deadline_ns) {
  Watched& me = workers_[w];
  ++events_;
  me.step = step;
  me.calling = true;
  me.signalled = false;
  if (step.lock >= locks_used_) [[unlikely]]
    locks_used_ = step.lock + 1;
  if (acquiring(step.verb) || upgrading(step.verb)) {
    me.owed = 0;
    Window& window = windows_[step.lock][static_cast<unsigned>(w)];
    if (window.open++ == 0) {
      window.exclusive = step.mode == Mode::kExclusive;
      window.try_only = step.verb == Verb::kTry;
      if (watches_order_ && waits_in_line(step.verb)) {
        overtaking_.calls(w, step.lock, step.mode, step.verb == Verb::kTimed);
      }
    }
    if (upgrading(step.verb)) window.exclusive = true;  // As long as it lasts, at least.
    if (step.verb != Verb::kAcquire) begins_to_seek(w, now_ns, deadline_ns);
    if (seeking_ != 0) [[unlikely]]
      let_others_look_for_excuses(w);
    return true;
  }
  if (releasing(step.verb)) last_release_call_[w] = events_;
  // A hold ends when its release is called; a downgrade, likewise, lets readers in from there.
  return step.verb == Verb::kMisuse ||
         model_.apply(states_[step.lock], call_of(w, step), Outcome::kReleased) ||
         releases_unheld(w);
}

[[gnu::always_inline]] inline bool Judge::ends(int w, Step step, Outcome outcome,
                                               std::int64_t now_ns) {
  ++events_;
  workers_[w].calling = false;
  Window& window = windows_[step.lock][static_cast<unsigned>(w)];
  if (acquiring(step.verb) || upgrading(step.verb)) {
    if (step.verb != Verb::kAcquire) seeking_ &= ~(1u << w);
    if (!hobbs::holds(outcome)) [[unlikely]]
      return ends_without(w, outcome, now_ns);
    last_acquire_return_[w] = events_;
    last_was_exclusive_[w] = step.mode == Mode::kExclusive;
    if (!model_.apply(states_[step.lock], call_of(w, step), outcome) &&
        !took_from_the_dead(w, outcome)) {
      return false;
    }
    if (watches_order_) {
      const auto broken = overtaking_.enters(w);
      if (broken && deaths_ == 0) [[unlikely]]
        return fail_order(w, *broken);
    }
    if (step.mode == Mode::kExclusive || upgrading(step.verb)) window.exclusive = true;
    if (upgrading(step.verb)) --window.open;
    if (step.verb == Verb::kTry) {
      window.try_only = false;
      return settle_owed(w, true);
    }
    return true;
  }
  if (releasing(step.verb) && window.open > 0) --window.open;
  if (step.verb == Verb::kDowngrade) window.exclusive = false;
  return (outcome == Outcome::kReleased && step.verb != Verb::kMisuse) || check_release(w, outcome);
}

}  // namespace hobbs::explore
