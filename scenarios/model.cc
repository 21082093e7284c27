#include "scenarios/model.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace hobbs {
namespace {

constexpr std::uint64_t bit_of(std::uint32_t worker) { return std::uint64_t{1} << (worker - 1); }

constexpr bool is_acquire(Verb verb) {
  return verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed;
}

/// How a lock may refuse somebody who has nothing to release; which of these is a matter of taste.
constexpr OutcomeSet kReleaseRefusals{Outcome::kNotOwner, Outcome::kNotLocked,
                                      Outcome::kOverRelease};

constexpr Expectation undefined_call() { return {.undefined = true}; }
constexpr Expectation at_once(OutcomeSet outcomes) { return {.outcomes = outcomes}; }

[[noreturn]] void abort_on(const char* what) {
  std::fprintf(stderr, "hobbs: model: %s\n", what);
  std::abort();
}

template <class Visit>
void for_each_worker(std::uint64_t mask, Visit visit) {
  for (; mask != 0; mask &= mask - 1) {
    visit(static_cast<std::uint32_t>(std::countr_zero(mask)) + 1);
  }
}

}  // namespace

std::string to_string(OutcomeSet outcomes) {
  std::string text;
  for (unsigned i = 0; i <= static_cast<unsigned>(Outcome::kSystemError); ++i) {
    if (!outcomes.contains(static_cast<Outcome>(i))) continue;
    if (!text.empty()) text += " or ";
    text += to_string(static_cast<Outcome>(i));
  }
  return text.empty() ? "nothing" : text;
}

std::uint64_t ModelState::hash() const {
  std::uint64_t value = 0x9e3779b97f4a7c15u;
  const auto mix = [&value](std::uint64_t word) {
    value = (value ^ word) * 0xff51afd7ed558ccdu;
    value ^= value >> 32;
  };
  mix(std::uint64_t{owner} << 32 | static_cast<std::uint32_t>(depth));
  mix(sharers);
  mix(dead);
  mix(damaged);
  mix(kept);
  const auto words = std::bit_cast<std::array<std::uint64_t, kMaxWorkers / 4>>(holds);
  for (const std::uint64_t word : words) mix(word);
  return value;
}

Model::Model(const Claims& claims, Home home) : claims_(claims), home_(home) {
  for (std::uint32_t worker = 0; worker <= kMaxWorkers; ++worker) {
    process_of_[worker] = UINT32_MAX - worker;  // Out of the way of place()'s numbers.
  }
}

void Model::place(std::uint32_t worker, std::uint32_t process) {
  if (worker == 0 || worker > kMaxWorkers) abort_on("place() of a worker outside 1..64");
  if (process >= UINT32_MAX - kMaxWorkers) abort_on("place() in a process of too great a number");
  process_of_[worker] = process;
}

Expectation Model::expect(const ModelState& state, const Call& call) const {
  if (call.worker == 0 || call.worker > kMaxWorkers) abort_on("a call by a worker outside 1..64");
  Expectation e = expect_unhurt(state, call);
  // Who died inside a call may have left the lock's own parts held, or a gap in its queue: any
  // call may hang in them, a release and a try too.
  e.may_wait = e.may_wait || (state.damaged != 0 && !e.undefined);
  return e;
}

/// As if nobody had died inside a call; but that what could be had may be refused is said here.
Expectation Model::expect_unhurt(const ModelState& state, const Call& call) const {
  switch (call.verb) {
    case Verb::kAcquire:
    case Verb::kTry:
    case Verb::kTimed:
      return claims_.semaphore ? expect_permit(state, call) : expect_acquire(state, call);
    case Verb::kRelease:
    case Verb::kPost:
    case Verb::kMisuse: return claims_.semaphore ? expect_post(state) : expect_release(state, call);
    case Verb::kUpgrade:
    case Verb::kTryUpgrade: return expect_upgrade(state, call);
    case Verb::kDowngrade: return expect_downgrade(state, call);
    default: abort_on("asked about a step that does not call the lock");
  }
}

/// The lock can be had now.
Expectation Model::when_obtainable(const ModelState& state, const Call& call,
                                   OutcomeSet got) const {
  // A reader may be held back for a writer that waits, unless the lock promises otherwise.
  const bool held_back = call.mode == Mode::kShared && call.exclusive_waiting &&
                         claims_.fairness != Fairness::kReaderPreference;
  Expectation e{.outcomes = got, .may_wait = held_back || state.damaged != 0};
  const bool may_fail = e.may_wait || claims_.spurious_try_failure;
  if (call.verb == Verb::kTry) {
    if (may_fail) e.outcomes.add(Outcome::kBusy);
    e.may_wait = false;
  } else if (call.verb == Verb::kTimed && call.expired) {
    if (may_fail) e.outcomes.add(Outcome::kTimedOut);
    e.may_wait = false;
  }
  if (call.signalled && call.verb != Verb::kTry) e.outcomes.add(Outcome::kInterrupted);
  return e;
}

/// The lock cannot be had now.
Expectation Model::when_held(const Call& call) const {
  if (call.verb == Verb::kTry) return at_once({Outcome::kBusy});
  Expectation e{.may_wait = true};
  if (call.verb == Verb::kTimed && call.expired) e = at_once({Outcome::kTimedOut});
  if (call.signalled) e.outcomes.add(Outcome::kInterrupted);
  return e;
}

Expectation Model::expect_acquire(const ModelState& state, const Call& call) const {
  if (claims_.releaser != Releaser::kAnyone) {
    if (state.owner == call.worker) return expect_reentry(state, call);
    if ((state.sharers & bit_of(call.worker)) != 0) return expect_mixed_reentry(state, call);
  }
  const bool of_processes = claims_.releaser == Releaser::kProcess && claims_.reentrant;
  if (!claims_.thread_shared || of_processes) {
    // Another thread of the process that holds it: such locks do not tell the two apart.
    bool same_process = false;
    const auto look = [&](std::uint32_t holder) {
      same_process |= process_of_[holder] == process_of_[call.worker];
    };
    if (state.owner != 0) look(state.owner);
    for_each_worker(state.sharers, look);
    if (same_process) return undefined_call();
  }
  const Obstacle found = obstacle(state, 0, call.mode);
  if (found.living) return when_held(call);
  if (call.mode == Mode::kShared && state.holds[call.worker - 1] == kMaxDepth) {
    return undefined_call();
  }
  if (!found.loose && !found.died) return when_obtainable(state, call, {Outcome::kAcquired});
  OutcomeSet got{Outcome::kAcquired};
  if (found.died) {
    const bool must_tell = claims_.crash == CrashBehaviour::kOwnerDied &&
                           call.mode == Mode::kExclusive && state.owner != 0;
    got = must_tell ? OutcomeSet{Outcome::kOwnerDied}
                    : OutcomeSet{Outcome::kOwnerDied, Outcome::kAcquired};
  }
  Expectation e = when_obtainable(state, call, got);
  if (found.loose && call.verb != Verb::kTry) e.may_wait = !call.expired;
  if (found.loose || claims_.crash == CrashBehaviour::kTakeover) {
    // Finding out about a death may take more than one look.
    if (call.verb == Verb::kTry) e.outcomes.add(Outcome::kBusy);
    if (call.verb == Verb::kTimed && call.expired) e.outcomes.add(Outcome::kTimedOut);
  }
  return e;
}

/// The caller holds it exclusively already.
Expectation Model::expect_reentry(const ModelState& state, const Call& call) const {
  if (claims_.reentrant) {
    const auto limit = std::min<std::uint32_t>(claims_.max_depth, kMaxOwnerDepth);
    if (static_cast<std::uint32_t>(state.depth) >= limit) return undefined_call();
    return at_once({Outcome::kAcquired});
  }
  if (home_ == Home::kPath && !claims_.checks_misuse) return undefined_call();
  Expectation e = when_held(call);  // It waits for itself, or is refused.
  e.outcomes.add(Outcome::kDeadlock);
  e.outcomes.add(Outcome::kReentryRefused);
  return e;
}

/// The caller holds it shared already.
Expectation Model::expect_mixed_reentry(const ModelState& state, const Call& call) const {
  const auto limit = std::min<std::uint32_t>(claims_.max_depth, kMaxDepth);
  const auto depth = static_cast<std::uint32_t>(state.holds[call.worker - 1]);
  const bool again = call.mode == Mode::kShared;
  if (again && depth >= limit) return undefined_call();
  if (again && claims_.reentrant) {
    Expectation e = at_once({Outcome::kAcquired});
    if (call.verb == Verb::kTry && claims_.spurious_try_failure) e.outcomes.add(Outcome::kBusy);
    return e;
  }
  if (!claims_.reentrant && home_ == Home::kPath && !claims_.checks_misuse) return undefined_call();
  Expectation e = when_held(call);
  e.outcomes.add(Outcome::kDeadlock);
  e.outcomes.add(Outcome::kReentryRefused);
  e.outcomes.add(again ? Outcome::kAcquired : Outcome::kUpgradeRefused);
  return e;
}

Expectation Model::expect_permit(const ModelState& state, const Call& call) const {
  return state.depth < static_cast<std::int64_t>(claims_.permits)
             ? when_obtainable(state, call, {Outcome::kAcquired})
             : when_held(call);
}

Expectation Model::expect_upgrade(const ModelState& state, const Call& call) const {
  if ((state.sharers & bit_of(call.worker)) == 0) return misuse();
  if (state.holds[call.worker - 1] != 1) return undefined_call();
  const Obstacle found = obstacle(state, call.worker, Mode::kExclusive);
  const bool waits = call.verb == Verb::kUpgrade;
  Expectation e;
  if (found.living) {
    e = {.outcomes = {Outcome::kUpgradeRefused}, .may_wait = waits};
  } else {
    e = at_once({Outcome::kAcquired});
    if (found.died) e.outcomes.add(Outcome::kOwnerDied);
    // Somebody who waits for exclusiveness may have closed the door; a damaged lock may do so too.
    const bool hesitant = call.exclusive_waiting || found.loose || found.died || state.damaged != 0;
    if (hesitant || claims_.spurious_try_failure) e.outcomes.add(Outcome::kUpgradeRefused);
    e.may_wait = hesitant && waits;
  }
  if (call.signalled && waits) e.outcomes.add(Outcome::kInterrupted);
  return e;
}

Expectation Model::expect_downgrade(const ModelState& state, const Call& call) const {
  if (state.owner == 0 || state.owner != call.worker) return misuse();
  return state.depth == 1 ? at_once({Outcome::kReleased}) : undefined_call();
}

Expectation Model::expect_release(const ModelState& state, const Call& call) const {
  // A dead holder's hold of a lock file may have stayed, to be released by others.
  if (state.damaged != 0 && home_ == Home::kPath && is_free(state)) return undefined_call();
  const bool owner = state.owner != 0 && may_release(state.owner, call.worker);
  if (call.verb == Verb::kPost && claims_.releaser != Releaser::kAnyone && !owner) return misuse();
  if (call.mode == Mode::kExclusive) {
    return owner ? at_once({Outcome::kReleased}) : misuse();
  }
  // A shared hold inside an exclusive one of a re-entrant lock is a level of the exclusive one.
  if (owner && claims_.reentrant) return at_once({Outcome::kReleased});
  return sharer_for(state, call.worker) != 0 ? at_once({Outcome::kReleased}) : misuse();
}

Expectation Model::expect_post(const ModelState& state) const {
  if (state.depth > 0 || claims_.counts_above_permits) {
    return state.depth > -(INT32_MAX - 1) ? at_once({Outcome::kReleased}) : undefined_call();
  }
  if (claims_.bounded_release) return at_once({Outcome::kOverRelease, Outcome::kNotLocked});
  return misuse();
}

/// A release (or conversion) by somebody who has no such hold.
Expectation Model::misuse() const {
  if (!claims_.checks_misuse) return undefined_call();
  return at_once(kReleaseRefusals);
}

bool Model::apply_any(ModelState& state, Call call, Outcome outcome) const {
  const Expectation e = expect(state, call);
  if (e.undefined) return true;
  if (!e.outcomes.contains(outcome)) return false;
  if (hobbs::holds(outcome)) take(state, call);
  if (outcome == Outcome::kReleased) give_back(state, call);
  return true;
}

void Model::take(ModelState& state, const Call& call) const {
  const std::uint32_t worker = call.worker;
  std::int16_t& holds = state.holds[worker - 1];
  if (claims_.semaphore) {
    ++state.depth;
    // Beyond the range of int16 only the system's return of permits at a death would be inexact.
    if (claims_.crash == CrashBehaviour::kReleasedBySystem && holds < kMaxDepth) ++holds;
    return;
  }
  const bool owned = claims_.releaser != Releaser::kAnyone;
  if (owned && state.owner == worker) {  // Shared inside exclusive stays exclusive.
    ++state.depth;
    return;
  }
  const bool exclusive = !is_acquire(call.verb) || call.mode == Mode::kExclusive;
  state.owner = 0;  // Whoever still stood there was dead.
  state.depth = 0;
  if (exclusive) {
    for_each_worker(state.sharers, [&state](std::uint32_t w) { state.holds[w - 1] = 0; });
    state.sharers = 0;
    state.owner = worker;
    state.depth = 1;
  } else {
    state.sharers |= bit_of(worker);
    ++holds;
  }
}

void Model::give_back(ModelState& state, const Call& call) const {
  if (claims_.semaphore) {
    --state.depth;
    std::int16_t& balance = state.holds[call.worker - 1];
    if (claims_.crash == CrashBehaviour::kReleasedBySystem && balance > -kMaxDepth) --balance;
    return;
  }
  if (call.verb == Verb::kDowngrade) {
    state.owner = 0;
    state.depth = 0;
    state.sharers |= bit_of(call.worker);
    state.holds[call.worker - 1] = 1;
    return;
  }
  if (state.owner != 0) {  // A mode that does not fit has been refused before.
    if (--state.depth == 0) state.owner = 0;
    return;
  }
  const std::uint32_t sharer = sharer_for(state, call.worker);
  if (--state.holds[sharer - 1] == 0) state.sharers &= ~bit_of(sharer);
}

void Model::die(ModelState& state, std::uint32_t worker, bool inside_call, bool inherited) const {
  state.dead |= bit_of(worker);
  // A lock file that promises nothing may stay, be freed by the system, or be found stale.
  const bool unsaid = claims_.crash == CrashBehaviour::kStuck && home_ == Home::kPath;
  if (claims_.crash == CrashBehaviour::kStuck && (inside_call || unsaid)) state.damaged = 1;
  const std::uint32_t process = process_of_[worker];
  const bool frees = claims_.crash == CrashBehaviour::kReleasedBySystem || unsaid;
  const bool stays = inherited && home_ == Home::kPath && !claims_.semaphore;
  if (stays) {
    for (std::uint32_t w = 1; w <= kMaxWorkers; ++w) {
      if (process_of_[w] == process) state.kept |= bit_of(w);
    }
  }
  if (!frees || stays || !process_is_dead(state, process)) return;
  for (std::uint32_t w = 1; w <= kMaxWorkers; ++w) {
    if (process_of_[w] != process) continue;
    if (claims_.semaphore) {  // As semop(2): an undo takes no permit that is not there.
      state.depth = std::min(state.depth - state.holds[w - 1],
                             std::max(state.depth, static_cast<std::int32_t>(claims_.permits)));
    }
    state.holds[w - 1] = 0;
    state.sharers &= ~bit_of(w);
    if (state.owner == w) state.owner = 0, state.depth = 0;
  }
}

bool Model::holds(const ModelState& state, std::uint32_t worker, Mode mode) const {
  if (claims_.semaphore || worker == 0) return false;
  return mode == Mode::kExclusive ? state.owner == worker : (state.sharers & bit_of(worker)) != 0;
}

bool Model::is_free(const ModelState& state) const {
  if (claims_.semaphore) return state.depth < static_cast<std::int64_t>(claims_.permits);
  return state.owner == 0 && state.sharers == 0;
}

std::int64_t Model::held(const ModelState& state) const {
  std::int64_t sum = state.depth;
  if (!claims_.semaphore) {
    for_each_worker(state.sharers, [&](std::uint32_t w) { sum += state.holds[w - 1]; });
  }
  return sum;
}

Model::Obstacle Model::obstacle(const ModelState& state, std::uint32_t except, Mode mode) const {
  Obstacle found;
  if (state.owner != 0 && state.owner != except) look_at(state, state.owner, found);
  if (mode == Mode::kExclusive) {
    for_each_worker(state.sharers, [&](std::uint32_t w) {
      if (w != except) look_at(state, w, found);
    });
  }
  return found;
}

void Model::look_at(const ModelState& state, std::uint32_t holder, Obstacle& found) const {
  const bool gone = claims_.releaser == Releaser::kProcess
                        ? process_is_dead(state, process_of_[holder])
                        : is_dead(state, holder);
  switch (claims_.crash) {
    case CrashBehaviour::kStuck:
      if (home_ == Home::kMemory) {
        found.living = true;
        break;
      }
      [[fallthrough]];  // A lock file that promises nothing may be of either kind.
    case CrashBehaviour::kReleasedBySystem:
      // A thread of a process that lives on, or one whose descriptors a child has inherited:
      // whether its end ends the hold differs between systems.
      (is_dead(state, holder) ? found.loose : found.living) = true;
      break;
    case CrashBehaviour::kOwnerDied:
    case CrashBehaviour::kTakeover:
      (gone ? found.died : found.living) = true;
      // A lock file knows its holder by the process, or for as long as a descriptor is open, which
      // a child may have: that a thread alone has ended it need not notice.
      found.loose |=
          gone && home_ == Home::kPath &&
          (!process_is_dead(state, process_of_[holder]) || (state.kept & bit_of(holder)) != 0);
      break;
  }
}

bool Model::is_dead(const ModelState& state, std::uint32_t worker) const {
  return (state.dead & bit_of(worker)) != 0;
}

bool Model::process_is_dead(const ModelState& state, std::uint32_t process) const {
  for (std::uint32_t w = 1; w <= kMaxWorkers; ++w) {
    if (process_of_[w] == process && !is_dead(state, w)) return false;
  }
  return true;
}

bool Model::may_release(std::uint32_t holder, std::uint32_t worker) const {
  switch (claims_.releaser) {
    case Releaser::kAnyone: return true;
    case Releaser::kProcess: return process_of_[holder] == process_of_[worker];
    case Releaser::kThread: return holder == worker;
  }
  return false;
}

/// Whose shared hold a shared release by this worker ends: its own first; 0 if nobody's.
std::uint32_t Model::sharer_for(const ModelState& state, std::uint32_t worker) const {
  if ((state.sharers & bit_of(worker)) != 0) return worker;
  std::uint32_t found = 0;
  for_each_worker(state.sharers, [&](std::uint32_t w) {
    if (found == 0 && may_release(w, worker)) found = w;
  });
  return found;
}

}  // namespace hobbs
