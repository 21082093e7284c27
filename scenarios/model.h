// The one executable specification: what a lock that makes these claims must, may and must not do.
//
// A Model is a sequential machine. `expect()` says with which outcomes a call may take effect in a
// state, and whether it may or must go on waiting there instead; `apply()` gives the state after.
// Conform asks it call by call, explore at every step, and the history checker searches with it,
// so that all three mean the same by "correct". Pure: no clock, no memory of its own.
//
//     const Model model(spec);
//     ModelState state;                                  // A new lock: free.
//     Expectation e = model.expect(state, {.worker = 2, .verb = Verb::kTry});
//     if (!model.apply(state, call, outcome)) ...        // The lock broke its promise.
//
// How the answers read:
//     e.undefined       outside the contract: whatever happens, nobody may be accused, and the
//                       state is unknown from here on. Do not generate such calls.
//     e.must_wait()     returning now, with whatever outcome, is wrong.
//     e.may_wait        returning with one of e.outcomes and waiting on are both right.
//     !e.may_wait       it must return, with one of e.outcomes, without anybody else's help.
//
// What takes effect at one instant is the sequential view; the caller deals with overlap (a call
// takes effect somewhere between its invocation and its return). The model does not know who waits
// or what time it is: Call carries what matters of both. Order among waiters (FIFO, bypass) is not
// modelled: the fairness rules judge that.
//
// A fork needs no call here. With ForkBehaviour::kShared parent and child go on with one state;
// with kPrivateCopy the child starts from a copy of the state, in which its workers, being new,
// hold nothing and the parent's holds never end.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs {

class OutcomeSet {
 public:
  constexpr OutcomeSet() = default;
  constexpr OutcomeSet(std::initializer_list<Outcome> outcomes) {
    for (const Outcome outcome : outcomes) add(outcome);
  }
  constexpr void add(Outcome outcome) { bits_ |= bit(outcome); }
  constexpr bool contains(Outcome outcome) const { return (bits_ & bit(outcome)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  bool operator==(const OutcomeSet&) const = default;

 private:
  static constexpr std::uint32_t bit(Outcome outcome) {
    return 1u << static_cast<unsigned>(outcome);
  }
  std::uint32_t bits_ = 0;
};

/// "acquired or busy"; "nothing" for the empty set.
std::string to_string(OutcomeSet outcomes);

/// One call, as far as the model cares. Verbs: kAcquire, kTry, kTimed, kRelease, kPost, kMisuse
/// (the last two are releases), kUpgrade, kTryUpgrade, kDowngrade.
struct Call {
  std::uint32_t worker = 1;  // 1..kMaxWorkers.
  Verb verb = Verb::kAcquire;
  Mode mode = Mode::kExclusive;
  bool expired = false;            // kTimed: its deadline has passed by this instant.
  bool signalled = false;          // A signal has struck since the call began.
  bool exclusive_waiting = false;  // An exclusive acquire or upgrade of another worker may be
                                   // pending: readers may be held back for it.
};

struct Expectation {
  OutcomeSet outcomes{};   // With which it may take effect now.
  bool may_wait = false;   // It may also not take effect yet.
  bool undefined = false;  // Outside the contract.

  bool must_wait() const { return !undefined && outcomes.empty(); }
  bool allows(Outcome outcome) const { return undefined || outcomes.contains(outcome); }
};

/// Who holds what. Trivially copyable, no padding, all-zero is a new lock. Meaningful only with
/// the Model that moved it.
struct ModelState {
  std::uint32_t owner = 0;    // The exclusive holder; 0: none. Unused by semaphores.
  std::int32_t depth = 0;     // Holds of the owner; of a semaphore: permits in use, below zero when
                              // posted above the initial permits.
  std::uint64_t sharers = 0;  // Bit id-1: holds shared.
  std::uint64_t dead = 0;     // Bit id-1: died.
  std::uint64_t damaged = 0;  // 1: a worker died, and the lock need not survive that: inside
                              // a call, or (on a path) holding it.
  std::uint64_t kept = 0;     // Bit id-1: died, and a living child may have its descriptors.
  std::array<std::int16_t, kMaxWorkers> holds{};  // Shared holds of each worker; of a semaphore
                                                  // whose permits the system returns: its balance.
  bool operator==(const ModelState&) const = default;
  std::uint64_t hash() const;
};

class Model {
 public:
  /// Deeper nesting of shared holds (or a larger balance) of one worker than this is treated as
  /// undefined; and deeper nesting of the owner than kMaxOwnerDepth.
  static constexpr std::int32_t kMaxDepth = INT16_MAX;
  static constexpr std::int32_t kMaxOwnerDepth = INT32_MAX - 1;

  /// `home`: a lock on a path is one object per worker or process, and acquiring it twice there is
  /// outside its contract unless it claims to be re-entrant or to check misuse.
  explicit Model(const Claims& claims, Home home = Home::kMemory);
  explicit Model(const LockSpec& spec) : Model(spec.claims, spec.home) {}

  /// Says which process a worker is a thread of; any number but 0 and the 65 greatest. By default
  /// each worker is a process of its own. Matters where a process, not a thread, holds or dies.
  void place(std::uint32_t worker, std::uint32_t process);

  Expectation expect(const ModelState& state, const Call& call) const;

  /// Moves `state` by a call that took effect with `outcome`; false, and no change, if that is not
  /// allowed. An undefined call is allowed and changes nothing.
  [[gnu::always_inline]] bool apply(ModelState& state, const Call& call, Outcome outcome) const {
    // Whatever a lock claims, anybody gets one that nobody stands in the way of, and its holder can
    // give it back. Nearly all calls are these: explore makes tens of millions of them a second.
    if (call.mode == Mode::kExclusive && !claims_.semaphore) {
      if (call.verb == Verb::kAcquire && outcome == Outcome::kAcquired && state.owner == 0 &&
          state.sharers == 0 && call.worker - 1 < kMaxWorkers) {
        state.owner = call.worker;
        state.depth = 1;
        return true;
      }
      if (call.verb == Verb::kRelease && outcome == Outcome::kReleased && state.owner != 0 &&
          state.owner == call.worker) {
        if (--state.depth == 0) state.owner = 0;
        return true;
      }
    }
    return apply_any(state, call, outcome);
  }

  /// The worker's thread died; `inside_call` if it was between invocation and return of a call
  /// (whether that call took effect is the caller's choice, to be applied before). For the death
  /// of a process call it for each of its workers, in any order; `inherited` if a living process
  /// was forked from it: flock(2) and OFD locks stay until the last copy of a descriptor is closed.
  void die(ModelState& state, std::uint32_t worker, bool inside_call, bool inherited = false) const;

  /// Whether the worker holds the lock in this mode, by its own acquire.
  bool holds(const ModelState& state, std::uint32_t worker, Mode mode) const;

  /// Nobody, dead or alive, stands in the way of an exclusive acquire.
  bool is_free(const ModelState& state) const;

  /// How many holds there are at all: permits in use, or depth plus shared holds.
  std::int64_t held(const ModelState& state) const;

  const Claims& claims() const { return claims_; }

 private:
  bool apply_any(ModelState& state, Call call, Outcome outcome) const;
  Expectation expect_unhurt(const ModelState& state, const Call& call) const;
  Expectation expect_acquire(const ModelState& state, const Call& call) const;
  Expectation expect_permit(const ModelState& state, const Call& call) const;
  Expectation expect_reentry(const ModelState& state, const Call& call) const;
  Expectation expect_mixed_reentry(const ModelState& state, const Call& call) const;
  Expectation expect_upgrade(const ModelState& state, const Call& call) const;
  Expectation expect_downgrade(const ModelState& state, const Call& call) const;
  Expectation expect_release(const ModelState& state, const Call& call) const;
  Expectation expect_post(const ModelState& state) const;
  Expectation when_obtainable(const ModelState& state, const Call& call, OutcomeSet got) const;
  Expectation when_held(const Call& call) const;
  Expectation misuse() const;
  void take(ModelState& state, const Call& call) const;
  void give_back(ModelState& state, const Call& call) const;

  /// What stands between a worker and a hold in some mode.
  struct Obstacle {
    bool living = false;  // A holder whose hold only a release can end.
    bool loose = false;   // A dead holder whose hold may or may not have ended.
    bool died = false;    // A dead holder whose hold the next acquirer takes over.
  };
  Obstacle obstacle(const ModelState& state, std::uint32_t worker, Mode mode) const;
  void look_at(const ModelState& state, std::uint32_t holder, Obstacle& found) const;

  bool is_dead(const ModelState& state, std::uint32_t worker) const;
  bool process_is_dead(const ModelState& state, std::uint32_t process) const;
  bool may_release(std::uint32_t holder, std::uint32_t worker) const;
  std::uint32_t sharer_for(const ModelState& state, std::uint32_t worker) const;

  Claims claims_;
  Home home_;
  std::array<std::uint32_t, kMaxWorkers + 1> process_of_{};
};

}  // namespace hobbs
