#include "scenarios/model.h"

#include <gtest/gtest.h>

#include <unordered_set>
#include <vector>

namespace hobbs {
namespace {

using enum Outcome;

const std::vector<Outcome> kAllOutcomes = [] {
  std::vector<Outcome> all;
  for (unsigned i = 0; i <= static_cast<unsigned>(kSystemError); ++i) {
    all.push_back(static_cast<Outcome>(i));
  }
  return all;
}();

Call lock(std::uint32_t w) { return {.worker = w}; }
Call lock_shared(std::uint32_t w) { return {.worker = w, .mode = Mode::kShared}; }
Call try_lock(std::uint32_t w) { return {.worker = w, .verb = Verb::kTry}; }
Call try_shared(std::uint32_t w) {
  return {.worker = w, .verb = Verb::kTry, .mode = Mode::kShared};
}
Call timed(std::uint32_t w, bool expired) {
  return {.worker = w, .verb = Verb::kTimed, .expired = expired};
}
Call unlock(std::uint32_t w) { return {.worker = w, .verb = Verb::kRelease}; }
Call unlock_shared(std::uint32_t w) {
  return {.worker = w, .verb = Verb::kRelease, .mode = Mode::kShared};
}
Call verb(std::uint32_t w, Verb v) { return {.worker = w, .verb = v}; }

/// Plays calls with their outcomes; fails the test at the first that the model does not allow.
ModelState play(const Model& model, const std::vector<std::pair<Call, Outcome>>& calls) {
  ModelState state;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_FALSE(model.expect(state, calls[i].first).undefined) << "call " << i;
    EXPECT_TRUE(model.apply(state, calls[i].first, calls[i].second)) << "call " << i;
  }
  return state;
}

TEST(Model, MutexExcludesAndItsHolderReleases) {
  const Model model{Claims{}};
  const ModelState held = play(model, {{lock(1), kAcquired}});
  EXPECT_TRUE(model.expect(held, lock(2)).must_wait());
  EXPECT_EQ(model.expect(held, try_lock(2)).outcomes, OutcomeSet{kBusy});
  EXPECT_TRUE(model.expect(held, timed(2, false)).must_wait());
  EXPECT_EQ(model.expect(held, timed(2, true)).outcomes, OutcomeSet{kTimedOut});
  EXPECT_TRUE(model.expect(held, unlock(2)).undefined);
  EXPECT_EQ(model.expect(ModelState{}, timed(2, true)).outcomes, OutcomeSet{kAcquired});
  EXPECT_TRUE(model.is_free(play(model, {{lock(1), kAcquired}, {unlock(1), kReleased}})));
}

TEST(Model, ForbiddenOutcomesAreRefusedAndChangeNothing) {
  const Model model{Claims{}};
  ModelState state = play(model, {{lock(1), kAcquired}});
  const ModelState before = state;
  EXPECT_FALSE(model.apply(state, lock(2), kAcquired));
  EXPECT_FALSE(model.apply(state, try_lock(2), kAcquired));
  EXPECT_FALSE(model.apply(state, try_lock(2), kSystemError));
  EXPECT_EQ(state, before);
}

TEST(Model, OwnMutexAgainWaitsForItselfOrIsRefused) {
  const Model model{Claims{}};
  const ModelState held = play(model, {{lock(1), kAcquired}});
  const Expectation again = model.expect(held, lock(1));
  EXPECT_TRUE(again.may_wait);
  EXPECT_EQ(again.outcomes, (OutcomeSet{kDeadlock, kReentryRefused}));
  EXPECT_FALSE(model.expect(held, try_lock(1)).allows(kAcquired));
  EXPECT_TRUE(model.expect(held, try_lock(1)).allows(kBusy));
  EXPECT_TRUE(Model({}, Home::kPath).expect(held, lock(1)).undefined);
}

TEST(Model, CheckedMisuseIsRefusedWithoutEffect) {
  const Model model{Claims{.checks_misuse = true}};
  const OutcomeSet refusals{kNotOwner, kNotLocked, kOverRelease};
  EXPECT_EQ(model.expect(ModelState{}, unlock(1)).outcomes, refusals);
  const ModelState held = play(model, {{lock(1), kAcquired}});
  EXPECT_EQ(model.expect(held, unlock(2)).outcomes, refusals);
  EXPECT_EQ(model.expect(held, unlock_shared(1)).outcomes, refusals);  // The wrong mode (RW-10).
  EXPECT_EQ(model.expect(held, verb(2, Verb::kPost)).outcomes, refusals);
  EXPECT_EQ(model.expect(held, verb(2, Verb::kDowngrade)).outcomes, refusals);
  ModelState state = held;
  EXPECT_TRUE(model.apply(state, unlock(2), kNotOwner));
  EXPECT_EQ(state, held);
}

TEST(Model, ReleaseByAnyoneAndByTheProcess) {
  const Model anyone{Claims{.releaser = Releaser::kAnyone}};
  const ModelState held = play(anyone, {{lock(1), kAcquired}});
  EXPECT_TRUE(anyone.expect(held, lock(1)).must_wait());  // No owner, so no re-entry to refuse.
  EXPECT_TRUE(anyone.is_free(play(anyone, {{lock(1), kAcquired}, {unlock(2), kReleased}})));

  Model process{Claims{.releaser = Releaser::kProcess, .checks_misuse = true}};
  process.place(1, 7);
  process.place(2, 7);
  process.place(3, 8);
  EXPECT_TRUE(process.expect(held, unlock(2)).allows(kReleased));
  EXPECT_FALSE(process.expect(held, unlock(3)).allows(kReleased));
  EXPECT_TRUE(process.expect(held, lock(2)).must_wait());
  Model fcntl{Claims{.thread_shared = false, .releaser = Releaser::kProcess}};
  fcntl.place(1, 7);
  fcntl.place(2, 7);
  EXPECT_TRUE(fcntl.expect(held, lock(2)).undefined);
  Model of_no_threads{Claims{.thread_shared = false}};
  of_no_threads.place(1, 7);
  of_no_threads.place(2, 7);
  EXPECT_TRUE(of_no_threads.expect(held, lock(2)).undefined);
  EXPECT_TRUE(fcntl.expect(held, lock(3)).must_wait());
}

TEST(Model, ReentrantCountsItsDepth) {
  const Model model{Claims{.reentrant = true, .checks_misuse = true, .max_depth = 2}};
  const ModelState twice = play(model, {{lock(1), kAcquired}, {try_lock(1), kAcquired}});
  EXPECT_EQ(model.held(twice), 2);
  EXPECT_TRUE(model.expect(twice, lock(1)).undefined);  // Beyond max_depth.
  ModelState state = twice;
  EXPECT_TRUE(model.apply(state, unlock(1), kReleased));
  EXPECT_TRUE(model.expect(state, lock(2)).must_wait());
  EXPECT_TRUE(model.apply(state, unlock(1), kReleased));
  EXPECT_TRUE(model.is_free(state));
  EXPECT_FALSE(model.expect(state, unlock(1)).allows(kReleased));
}

TEST(Model, SemaphoreCountsItsPermits) {
  const Claims claims{.releaser = Releaser::kAnyone, .semaphore = true, .permits = 2};
  const Model model{claims};
  const ModelState full = play(model, {{lock(1), kAcquired}, {lock(1), kAcquired}});
  EXPECT_TRUE(model.expect(full, lock(2)).must_wait());
  EXPECT_EQ(model.expect(full, try_lock(2)).outcomes, OutcomeSet{kBusy});
  EXPECT_TRUE(model.expect(full, unlock(3)).allows(kReleased));
  EXPECT_TRUE(model.expect(ModelState{}, unlock(3)).undefined);

  Claims bounded = claims;
  bounded.bounded_release = true;
  EXPECT_EQ(Model{bounded}.expect(ModelState{}, unlock(1)).outcomes,
            (OutcomeSet{kOverRelease, kNotLocked}));
  Claims counting = claims;
  counting.counts_above_permits = true;
  const ModelState posted = play(Model{counting}, {{unlock(1), kReleased}});
  EXPECT_EQ(Model{counting}.held(posted), -1);
  const ModelState three = play(
      Model{counting},
      {{unlock(1), kReleased}, {lock(1), kAcquired}, {lock(2), kAcquired}, {lock(3), kAcquired}});
  EXPECT_TRUE(Model{counting}.expect(three, lock(4)).must_wait());
}

TEST(Model, ReadersMeetAndWritersDoNot) {
  const Model model{Claims{}};
  const ModelState read = play(model, {{lock_shared(1), kAcquired}, {try_shared(2), kAcquired}});
  EXPECT_TRUE(model.expect(read, lock(3)).must_wait());
  EXPECT_FALSE(model.expect(read, lock_shared(3)).may_wait);
  Call behind_writer = lock_shared(3);
  behind_writer.exclusive_waiting = true;
  EXPECT_TRUE(model.expect(read, behind_writer).may_wait);
  EXPECT_TRUE(model.expect(read, behind_writer).allows(kAcquired));
  const Model readers_first{Claims{.fairness = Fairness::kReaderPreference}};
  EXPECT_FALSE(readers_first.expect(read, behind_writer).may_wait);
  const ModelState written = play(model, {{lock(1), kAcquired}});
  EXPECT_TRUE(model.expect(written, lock_shared(2)).must_wait());
  EXPECT_EQ(model.expect(written, try_shared(2)).outcomes, OutcomeSet{kBusy});
}

TEST(Model, ReentrantSharedAndExclusive) {
  const Model model{Claims{.reentrant = true, .checks_misuse = true}};
  const ModelState mixed = play(model, {{lock(1), kAcquired}, {lock_shared(1), kAcquired}});
  EXPECT_TRUE(model.expect(mixed, lock_shared(2)).must_wait());  // Stays exclusive until zero.
  ModelState state = mixed;
  EXPECT_TRUE(model.apply(state, unlock_shared(1), kReleased));
  EXPECT_TRUE(model.expect(state, lock_shared(2)).must_wait());
  const ModelState read = play(model, {{lock_shared(1), kAcquired}});
  Call again = lock_shared(1);
  again.exclusive_waiting = true;
  EXPECT_FALSE(model.expect(read, again).may_wait);  // Nested passes a waiting writer.
  EXPECT_TRUE(model.expect(read, lock(1)).allows(kUpgradeRefused));
  EXPECT_FALSE(model.expect(read, lock(1)).allows(kAcquired));
}

TEST(Model, UpgradeAndDowngrade) {
  const Model model{Claims{}};
  const ModelState alone = play(model, {{lock_shared(1), kAcquired}});
  EXPECT_EQ(model.expect(alone, verb(1, Verb::kUpgrade)).outcomes, OutcomeSet{kAcquired});
  EXPECT_FALSE(model.expect(alone, verb(1, Verb::kUpgrade)).may_wait);
  const ModelState two = play(model, {{lock_shared(1), kAcquired}, {lock_shared(2), kAcquired}});
  EXPECT_EQ(model.expect(two, verb(1, Verb::kTryUpgrade)).outcomes, OutcomeSet{kUpgradeRefused});
  EXPECT_FALSE(model.expect(two, verb(1, Verb::kUpgrade)).allows(kAcquired));
  EXPECT_TRUE(model.expect(two, verb(1, Verb::kUpgrade)).may_wait);
  const ModelState up =
      play(model, {{lock_shared(1), kAcquired}, {verb(1, Verb::kUpgrade), kAcquired}});
  EXPECT_TRUE(model.holds(up, 1, Mode::kExclusive));
  EXPECT_FALSE(model.holds(up, 1, Mode::kShared));
  ModelState down = up;
  EXPECT_TRUE(model.apply(down, verb(1, Verb::kDowngrade), kReleased));
  EXPECT_EQ(model.expect(down, lock_shared(2)).outcomes, OutcomeSet{kAcquired});
  EXPECT_TRUE(model.expect(down, lock(2)).must_wait());
  EXPECT_EQ(model.expect(down, unlock_shared(1)).outcomes, OutcomeSet{kReleased});
}

TEST(Model, DeathOfAHolder) {
  const auto dead_holder = [](CrashBehaviour crash, Mode mode) {
    const Model model{Claims{.crash = crash}};
    ModelState state;
    model.apply(state, {.worker = 1, .mode = mode}, kAcquired);
    model.die(state, 1, false);
    return state;
  };
  using enum CrashBehaviour;
  const auto expect = [&](CrashBehaviour crash, Call call, Mode held = Mode::kExclusive) {
    return Model{Claims{.crash = crash}}.expect(dead_holder(crash, held), call);
  };
  EXPECT_TRUE(expect(kStuck, lock(2)).must_wait());
  EXPECT_EQ(expect(kReleasedBySystem, lock(2)).outcomes, OutcomeSet{kAcquired});
  EXPECT_EQ(expect(CrashBehaviour::kOwnerDied, lock(2)).outcomes, OutcomeSet{Outcome::kOwnerDied});
  EXPECT_FALSE(expect(CrashBehaviour::kOwnerDied, lock(2)).may_wait);
  EXPECT_EQ(expect(kTakeover, lock(2)).outcomes, (OutcomeSet{kAcquired, Outcome::kOwnerDied}));
  EXPECT_TRUE(expect(kStuck, lock(2), Mode::kShared).must_wait());
  EXPECT_FALSE(expect(kTakeover, lock(2), Mode::kShared).may_wait);

  const Model robust{Claims{.crash = CrashBehaviour::kOwnerDied}};
  ModelState state = dead_holder(CrashBehaviour::kOwnerDied, Mode::kExclusive);
  EXPECT_TRUE(robust.apply(state, lock(2), Outcome::kOwnerDied));
  EXPECT_TRUE(robust.expect(state, lock(3)).must_wait());
  EXPECT_TRUE(robust.apply(state, unlock(2), kReleased));  // Told once per death (CR-3).
  EXPECT_EQ(robust.expect(state, lock(3)).outcomes, OutcomeSet{kAcquired});
}

TEST(Model, AProcessOfOneDiesWithItWhateverItsNumber) {
  const Claims claims{.releaser = Releaser::kProcess, .crash = CrashBehaviour::kTakeover};
  for (std::uint32_t process = 1; process < 5'000; ++process) {
    Model model{claims};
    model.place(1, process);
    ModelState state = play(model, {{lock(1), kAcquired}});
    model.die(state, 1, false);
    ASSERT_TRUE(model.expect(state, lock(2)).allows(kAcquired)) << process;
  }
}

TEST(Model, SystemReleasesWithTheProcess) {
  Model file{Claims{.releaser = Releaser::kProcess, .crash = CrashBehaviour::kReleasedBySystem}};
  file.place(1, 5);
  file.place(2, 5);
  ModelState state;
  file.apply(state, lock(1), kAcquired);
  file.die(state, 1, false);
  EXPECT_TRUE(file.expect(state, lock(3)).may_wait);  // The process lives: either is right.
  EXPECT_TRUE(file.expect(state, lock(3)).allows(kAcquired));
  file.die(state, 2, false);
  EXPECT_EQ(file.expect(state, lock(3)).outcomes, OutcomeSet{kAcquired});
  EXPECT_FALSE(file.expect(state, lock(3)).may_wait);

  const Model inherited(file.claims(), Home::kPath);
  for (const bool by_child : {false, true}) {
    ModelState held;
    EXPECT_TRUE(inherited.apply(held, lock(1), kAcquired));
    inherited.die(held, 1, false, by_child);
    EXPECT_EQ(inherited.expect(held, lock(3)).may_wait, by_child);
    EXPECT_TRUE(inherited.expect(held, lock(3)).allows(kAcquired));
  }

  const Model undo{Claims{.releaser = Releaser::kAnyone,
                          .crash = CrashBehaviour::kReleasedBySystem,
                          .semaphore = true,
                          .permits = 3}};
  ModelState permits;
  undo.apply(permits, lock(1), kAcquired);
  undo.apply(permits, lock(1), kAcquired);
  undo.apply(permits, lock(2), kAcquired);
  undo.die(permits, 1, false);
  EXPECT_EQ(undo.held(permits), 1);
}

TEST(Model, ALockFileNeedNotNoticeThatAThreadHasEndedOrThatAChildIsNotItsParent) {
  for (const CrashBehaviour crash : {CrashBehaviour::kOwnerDied, CrashBehaviour::kTakeover}) {
    for (const Home home : {Home::kMemory, Home::kPath}) {
      Model model(Claims{.crash = crash}, home);
      model.place(1, 5);
      model.place(2, 5);
      ModelState state;
      model.apply(state, lock(1), kAcquired);
      ModelState inherited = state;
      model.die(state, 1, false);
      EXPECT_EQ(model.expect(state, lock(3)).may_wait, home == Home::kPath);
      EXPECT_TRUE(model.expect(state, lock(3)).allows(Outcome::kOwnerDied));
      model.die(state, 2, false);
      EXPECT_FALSE(model.expect(state, lock(3)).may_wait);
      // A child lives that was there when the holder's thread had ended, or not yet.
      model.die(inherited, 1, false, false);
      model.die(inherited, 2, false, true);
      EXPECT_EQ(model.expect(inherited, lock(3)).may_wait, home == Home::kPath);
      EXPECT_TRUE(model.apply(inherited, lock(3), Outcome::kOwnerDied));
      EXPECT_EQ(model.expect(inherited, unlock(3)).outcomes, OutcomeSet{kReleased});
      EXPECT_TRUE(model.apply(inherited, unlock(3), kReleased));
      EXPECT_FALSE(model.expect(inherited, lock(4)).may_wait);
    }
  }
}

TEST(Model, AHoldOfALockFileMayStayAndBeReleasedByOthersAfterItsHoldersDeath) {
  const Claims claims{.releaser = Releaser::kAnyone, .checks_misuse = true};
  const Model file(claims, Home::kPath);
  ModelState state;
  EXPECT_FALSE(file.expect(state, unlock(2)).allows(kReleased));
  file.apply(state, lock(1), kAcquired);
  file.die(state, 1, false);
  EXPECT_TRUE(file.expect(state, unlock(2)).undefined);
  EXPECT_TRUE(file.apply(state, lock(2), kAcquired));
  EXPECT_EQ(file.expect(state, unlock(3)).outcomes, OutcomeSet{kReleased});
}

TEST(Model, ADeathInsideACallOfAFragileLockExcusesWaitingAndFailing) {
  const Model model{Claims{}};
  ModelState state;
  model.die(state, 1, true);
  EXPECT_TRUE(model.expect(state, lock(2)).may_wait);
  EXPECT_TRUE(model.expect(state, try_lock(2)).allows(kBusy));
  ModelState held = state;  // A queue lock's release waits for a successor that is dead.
  EXPECT_TRUE(model.apply(held, lock(2), kAcquired));
  EXPECT_TRUE(model.expect(held, unlock(2)).may_wait);
  EXPECT_TRUE(model.expect(held, unlock(2)).allows(kReleased));
  ModelState outside;
  model.die(outside, 1, false);
  EXPECT_FALSE(model.expect(outside, lock(2)).may_wait);
  EXPECT_TRUE(model.apply(outside, lock(2), kAcquired));
  EXPECT_FALSE(model.expect(outside, unlock(2)).may_wait);
  const Model robust{Claims{.crash = CrashBehaviour::kTakeover}};
  ModelState mended;
  robust.die(mended, 1, true);
  EXPECT_FALSE(robust.expect(mended, lock(2)).may_wait);
}

TEST(Model, SpuriousFailureAndSignalsOnlyWhereTheyMayBe) {
  const Model weak{Claims{.spurious_try_failure = true}};
  EXPECT_TRUE(weak.expect(ModelState{}, try_lock(1)).allows(kBusy));
  EXPECT_FALSE(Model{Claims{}}.expect(ModelState{}, try_lock(1)).allows(kBusy));
  EXPECT_FALSE(weak.expect(ModelState{}, lock(1)).may_wait);
  Call struck = lock(1);
  struck.signalled = true;
  EXPECT_TRUE(weak.expect(ModelState{}, struck).allows(kInterrupted));
  EXPECT_FALSE(weak.expect(ModelState{}, lock(1)).allows(kInterrupted));
}

TEST(Model, NamesOutcomes) {
  EXPECT_EQ(to_string(OutcomeSet{kBusy, kAcquired}), "acquired or busy");
  EXPECT_EQ(to_string(OutcomeSet{}), "nothing");
}

// --- properties over every state that three workers can reach -----------------------------------

struct Hash {
  std::size_t operator()(const ModelState& state) const { return state.hash(); }
};

constexpr std::uint32_t kWorkers = 3;

std::vector<Call> all_calls() {
  std::vector<Call> calls;
  for (std::uint32_t w = 1; w <= kWorkers; ++w) {
    for (const Mode mode : {Mode::kExclusive, Mode::kShared}) {
      for (const bool waiting : {false, true}) {
        for (const Verb v : {Verb::kAcquire, Verb::kTry, Verb::kTimed}) {
          calls.push_back({.worker = w, .verb = v, .mode = mode, .exclusive_waiting = waiting});
        }
        calls.push_back({.worker = w,
                         .verb = Verb::kTimed,
                         .mode = mode,
                         .expired = true,
                         .exclusive_waiting = waiting});
      }
      calls.push_back({.worker = w, .verb = Verb::kRelease, .mode = mode});
    }
    for (const Verb v : {Verb::kPost, Verb::kUpgrade, Verb::kTryUpgrade, Verb::kDowngrade}) {
      calls.push_back({.worker = w, .verb = v});
    }
  }
  return calls;
}

/// All claims worth telling apart, with small limits so that the state space is small.
std::vector<Claims> all_claims() {
  std::vector<Claims> all;
  for (const Releaser releaser : {Releaser::kAnyone, Releaser::kProcess, Releaser::kThread}) {
    for (const CrashBehaviour crash : {CrashBehaviour::kStuck, CrashBehaviour::kReleasedBySystem,
                                       CrashBehaviour::kOwnerDied, CrashBehaviour::kTakeover}) {
      for (const int flags : {0, 1, 2, 3}) {
        Claims claims{.releaser = releaser, .reentrant = (flags & 1) != 0, .crash = crash};
        claims.checks_misuse = (flags & 2) != 0;
        claims.spurious_try_failure = !claims.checks_misuse;
        claims.max_depth = 2;
        all.push_back(claims);
        if (releaser != Releaser::kAnyone) continue;
        claims.reentrant = false;
        claims.semaphore = true;
        claims.permits = 2;
        claims.bounded_release = (flags & 1) != 0;
        all.push_back(claims);
      }
    }
  }
  return all;
}

/// Holds that only repeat what fewer show: of a lock without owners, one worker can pile them up.
bool is_deep(const ModelState& state) {
  for (std::uint32_t w = 0; w < kWorkers; ++w) {
    if (state.holds[w] > 2 || state.holds[w] < -2) return true;
  }
  return false;
}

bool is_dead(const ModelState& state, std::uint32_t worker) {
  return (state.dead >> (worker - 1) & 1) != 0;
}

/// Every state reachable from a new lock by defined calls and deaths, but for the deep ones.
std::vector<ModelState> reachable(const Model& model) {
  static const std::vector<Call> calls = all_calls();
  std::unordered_set<ModelState, Hash> seen{ModelState{}};
  std::vector<ModelState> states{ModelState{}};
  const auto add = [&](const ModelState& state) {
    if (!is_deep(state) && seen.insert(state).second) states.push_back(state);
  };
  for (std::size_t i = 0; i < states.size(); ++i) {
    for (const Call& call : calls) {
      if (is_dead(states[i], call.worker) || model.expect(states[i], call).undefined) continue;
      for (const Outcome outcome : {kAcquired, Outcome::kOwnerDied, kReleased}) {
        ModelState next = states[i];
        if (model.apply(next, call, outcome)) add(next);
      }
    }
    for (std::uint32_t w = 1; w <= kWorkers; ++w) {
      if (is_dead(states[i], w)) continue;
      ModelState next = states[i];
      model.die(next, w, false);
      add(next);
    }
  }
  return states;
}

void check_an_exclusive_holder_is_alone(const Model& model, const ModelState& state) {
  if (model.claims().semaphore) {
    ASSERT_LE(model.held(state), 2);
    // The system gives a dead worker's permits back even if somebody else released them already.
    ASSERT_TRUE(model.held(state) >= 0 || state.dead != 0);
    return;
  }
  ASSERT_TRUE(state.owner == 0 || state.sharers == 0);
  ASSERT_EQ(state.owner == 0, state.depth == 0);
  for (std::uint32_t w = 1; w <= kWorkers; ++w) {
    ASSERT_EQ(state.holds[w - 1] > 0, (state.sharers >> (w - 1) & 1) != 0);
    ASSERT_GE(state.holds[w - 1], 0);
    if (state.owner == 0 || state.owner == w || is_dead(state, state.owner)) continue;
    for (const Call& call : {lock(w), try_lock(w), lock_shared(w), try_shared(w)}) {
      ASSERT_FALSE(model.expect(state, call).allows(kAcquired));
    }
  }
}

void check_every_call_has_an_answer(const Model& model, const ModelState& state) {
  static const std::vector<Call> calls = all_calls();
  for (const Call& call : calls) {
    const Expectation e = model.expect(state, call);
    if (e.undefined) continue;
    ASSERT_TRUE(e.may_wait || !e.outcomes.empty());
    const bool may_block = call.verb == Verb::kAcquire || call.verb == Verb::kUpgrade ||
                           (call.verb == Verb::kTimed && !call.expired);
    ASSERT_TRUE(may_block || !e.may_wait);
    for (const Outcome outcome : kAllOutcomes) {
      ModelState next = state;
      ASSERT_EQ(model.apply(next, call, outcome), e.outcomes.contains(outcome));
      if (!holds(outcome) && outcome != kReleased) {
        ASSERT_EQ(next, state);
      }
    }
  }
}

/// Once each of the living has released what it holds, everybody can go on, unless a dead holder
/// of a fragile lock is in the way; and a release takes exactly one hold away.
void check_releasing_makes_progress(const Model& model, ModelState state) {
  const std::int64_t before = model.held(state);
  std::int64_t released = 0;
  std::uint32_t alive = 0;
  for (std::uint32_t w = 1; w <= kWorkers; ++w) {
    if (is_dead(state, w)) continue;
    alive = w;
    for (const Call& call : {unlock(w), unlock_shared(w)}) {
      while (!model.expect(state, call).undefined && model.apply(state, call, kReleased)) {
        ++released;
      }
    }
  }
  ASSERT_EQ(model.held(state), before - released);
  if (alive == 0) return;
  const Expectation e = model.expect(state, lock(alive));
  if (model.is_free(state)) {
    ASSERT_TRUE(!e.may_wait && e.outcomes == OutcomeSet{kAcquired});
  } else if (model.claims().semaphore || model.claims().crash == CrashBehaviour::kStuck) {
    ASSERT_TRUE(e.must_wait());
  } else {
    ASSERT_TRUE(e.outcomes.contains(kAcquired) || e.outcomes.contains(Outcome::kOwnerDied));
  }
}

TEST(ModelProperty, HoldInEveryStateThatThreeWorkersReach) {
  std::size_t states = 0;
  for (const Claims& claims : all_claims()) {
    const Model model{claims};
    for (const ModelState& state : reachable(model)) {
      ++states;
      check_an_exclusive_holder_is_alone(model, state);
      check_every_call_has_an_answer(model, state);
      check_releasing_makes_progress(model, state);
      ASSERT_FALSE(testing::Test::HasFatalFailure())
          << "owner " << state.owner << " sharers " << state.sharers << " dead " << state.dead;
    }
  }
  EXPECT_GT(states, 10'000u);
}

}  // namespace
}  // namespace hobbs
