// The judge: watches the calls of one execution and says which rule broke.
//
// It sees each call begin and end, in the order in which they happen, and keeps what certainly
// holds: a lock is held from the return of its acquire to the call of its release. Whether that may
// be, the executable specification (scenarios/model.h) says. A call that fails must have had a
// reason: a hold, or a call that may become one, of somebody else during the call.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "harness/explore/view.h"
#include "scenarios/model.h"
#include "scenarios/rules/overtaking.h"

namespace hobbs::explore {

/// A broken rule: its PROPERTIES.md id and one sentence.
struct Broken {
  std::string rule;
  std::string text;
};

class Judge {
 public:
  static constexpr int kNobody = -1;

  explicit Judge(const LockSpec& lock);

  /// A new execution. `exact`: memory is sequentially consistent, so that what is over is visible;
  /// only then must failures have a reason.
  void begin(bool exact);
  /// Worker `w` of this execution is platform id `id`, a thread of process `process`.
  void place(int w, std::uint32_t id, std::uint32_t process);
  /// `w` is forked from `parent`.
  void fork(int w, int parent) { forked_from_[w] = static_cast<std::int8_t>(parent); }

  // All of these return false when a rule broke: see broken(). The first two: judge_calls.h.

  /// A call begins. `deadline_ns` of a timed one.
  bool begins(int w, Step step, std::int64_t now_ns, std::int64_t deadline_ns);
  bool ends(int w, Step step, Outcome outcome, std::int64_t now_ns);
  /// A futex wait inside a timed call, with its deadline.
  bool waits(int w, std::int64_t wait_deadline_ns);
  /// The worker dies here; `pending`: inside a call.
  void dies(int w);
  /// w has written to memory in its call, and waits now.
  void waits_in_call(int w) {
    if (watches_order_) unsettled_ |= 1u << w;
  }
  /// Somebody has come to rest, or left a call. `ready`: the workers that can move.
  void settle(std::uint32_t ready) {
    if (unsettled_ != 0) [[unlikely]]
      settle_line(ready);
  }
  /// A futex wait of w was interrupted.
  void interrupted(int w) { workers_[w].signalled = true; }

  /// Whether w is in a shared call while others hold the lock shared.
  bool behind_readers(int w) const;
  /// Nothing moves any more. `blocked`: workers inside a call or a meeting. False: somebody should
  /// be able to go on.
  bool nothing_moves(std::uint32_t blocked, std::uint32_t meeting);
  /// Whether the specification lets this worker's pending acquire wait on.
  bool may_wait(int w) const;

  const Broken& broken() const { return broken_; }
  bool inside(int w) const { return workers_[w].calling; }
  bool timed(int w) const { return workers_[w].calling && workers_[w].step.verb == Verb::kTimed; }
  bool any_held() const;
  bool anybody_died() const { return deaths_ != 0; }
  bool anything_timed_out() const { return timed_out_; }
  /// Holds of a lock that whoever may release at all could release.
  std::int64_t held(int lock) const { return model_.held(states_[static_cast<unsigned>(lock)]); }

  /// Whether w may destroy the lock now: its own last hold was exclusive and began after everybody
  /// else's last release was called, and nobody else will call it again (which the caller knows).
  bool was_last(int w, int lock) const;

 private:
  struct Watched {
    Step step;  // The pending call.
    std::uint32_t id = 0;
    bool calling = false;
    bool signalled = false;
    bool excused = false;  // Somebody else may have held it during this call.
    bool expired_at_start = false;
    std::uint32_t overlapped = 0;  // Tries of others during this call that are not decided yet.
    std::uint32_t owed = 0;        // A try of ours failed: one of these must turn out a hold.
    std::int64_t deadline_ns = INT64_MAX;
  };
  struct Window {            // From the call of the outermost acquire to its release's return.
    std::uint32_t open = 0;  // Calls and holds, nested ones counted.
    bool exclusive = false;
    bool try_only = false;  // Only a try, not decided yet.
  };

  Call call_of(int w, Step step) const;
  bool exclusive_waiting(int w) const;
  bool fail(std::string rule, std::string text);
  void settle_line(std::uint32_t ready);
  bool fail_order(int w, const Overtaking::Broken& broken);
  bool releases_unheld(int w);
  bool took_from_the_dead(int w, Outcome outcome);
  bool ends_without(int w, Outcome outcome, std::int64_t now_ns);
  bool check_release(int w, Outcome outcome);
  bool somebody_misuses() const;
  bool conflict(int w, Outcome outcome);
  bool check_failure(int w, Outcome outcome, std::int64_t now_ns);
  bool excuses(int w, int other, const Step& step) const;
  void begins_to_seek(int w, std::int64_t now_ns, std::int64_t deadline_ns);
  void look_for_excuse(int w);
  void let_others_look_for_excuses(int w);
  bool settle_owed(int decided, bool took);
  std::string name(int w) const;
  std::string holders(int lock) const;

  const LockSpec& lock_;
  Model model_;
  Overtaking overtaking_;
  bool watches_order_ = false;   // Who passes whom can be judged, and matters.
  std::uint32_t unsettled_ = 0;  // Who waits, but perhaps for what another is just using.
  bool exact_ = true;
  int n_ = 0;
  int locks_used_ = 1;
  std::array<ModelState, kMaxLocksPerProgram> states_;
  std::array<Watched, kMaxFibres> workers_;
  std::array<std::array<Window, kMaxFibres>, kMaxLocksPerProgram> windows_;
  std::array<std::int8_t, kMaxFibres> forked_from_;
  std::uint32_t seeking_ = 0;  // Inside a try or a timed call: may fail, with an excuse.
  std::uint32_t deaths_ = 0;
  std::uint32_t maybe_took_ = 0;  // Died inside an acquire or a release: may have held it.
  bool timed_out_ = false;
  bool try_failed_ = false;
  std::uint64_t events_ = 0;
  std::array<std::uint64_t, kMaxFibres> last_release_call_;
  std::array<std::uint64_t, kMaxFibres> last_acquire_return_;
  std::array<bool, kMaxFibres> last_was_exclusive_;
  Broken broken_;
};

}  // namespace hobbs::explore
