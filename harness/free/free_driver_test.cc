#include "harness/free/free_driver.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "harness/free/caught_calls.h"
#include "harness/free/class_mutants_for_test.h"
#include "harness/free/mutants_for_test.h"
#include "harness/free/scene_mutants_for_test.h"
#include "harness/free/spawn.h"
#include "locks/adapters/adapters.h"
#include "locks/mutants/gallery.h"
#include "locks/reference/robust_mutex.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

using std::chrono::milliseconds;

class FreeDriverTest : public testing::Test {
 protected:
  FreeDriverTest() : directory_(testing::TempDir() + "hobbs-free-" + std::to_string(getpid())) {
    std::filesystem::create_directories(directory_);
  }
  ~FreeDriverTest() override { std::filesystem::remove_all(directory_); }

  std::vector<Result> run(const LockSpec& lock, milliseconds budget,
                          const std::string& scenarios = "*") {
    Request request;
    request.scenarios = scenarios;
    request.until = std::chrono::steady_clock::now() + budget;
    request.work_directory = directory_;
    return driver_.run(lock, request);
  }

  /// The one finding, or nothing.
  std::optional<Result> finding(const LockSpec& lock, milliseconds budget,
                                const std::string& scenarios) {
    for (Result& result : run(lock, budget, scenarios)) {
      if (result.verdict == Verdict::kFail) return std::move(result);
    }
    return std::nullopt;
  }

  /// A mutant is caught by one of the rules, and the replay file shows it again.
  void expect_caught(const LockSpec& lock, const std::vector<std::string>& rules,
                     const std::string& scenarios = "*") {
    const std::optional<Result> found = finding(lock, kBudget, scenarios);
    ASSERT_TRUE(found) << lock.name << " was not caught";
    EXPECT_NE(std::find(rules.begin(), rules.end(), found->rule), rules.end()) << found->rule;
    EXPECT_FALSE(found->finding->history.empty());
    Request request;
    request.until = std::chrono::steady_clock::now() + kBudget;
    request.work_directory = directory_;
    const ReplayOutcome again = driver_.replay(lock, found->finding->replay_json, request);
    EXPECT_EQ(again.error, "");
    // How often it fails again is chance, and is said; that it was run again is not.
    EXPECT_GT(again.of, 0u) << found->finding->program;
  }

  /// In a scene, every time. The machine may not give namespaces; then it is said, and nothing is
  /// claimed.
  void expect_mistaken(const LockSpec& broken, const LockSpec& healthy, const std::string& scene,
                       const std::string& rule) {
    const std::vector<Result> controls = run(healthy, kBudget, scene);
    const std::vector<Result> results = run(broken, kBudget, scene);
    ASSERT_EQ(controls.size(), 1u);
    ASSERT_EQ(results.size(), 1u);
    if (results[0].verdict == Verdict::kSkipped) {
      EXPECT_EQ(controls[0].verdict, Verdict::kSkipped);
      EXPECT_NE(results[0].reason.find("the system refuses"), std::string::npos);
      GTEST_SKIP() << results[0].reason;
    }
    EXPECT_EQ(controls[0].verdict, Verdict::kPass) << controls[0].reason;
    ASSERT_EQ(results[0].verdict, Verdict::kFail) << results[0].reason;
    EXPECT_EQ(results[0].rule, rule);
    Request request;
    request.until = std::chrono::steady_clock::now() + kBudget;
    request.work_directory = directory_;
    const ReplayOutcome again = driver_.replay(broken, results[0].finding->replay_json, request);
    EXPECT_EQ(again.error, "");
    EXPECT_EQ(again.failed, again.of);
  }

  void expect_caught(const std::string& name, const std::string& scenarios) {
    for (const mutants::Mutant& mutant : mutants::gallery()) {
      if (mutant.lock.name == name) return expect_caught(mutant.lock, mutant.rules, scenarios);
    }
    FAIL() << "the gallery has no " << name;
  }

  /// The healthy counterpart: it passes, having been struck.
  void expect_passed(const LockSpec& lock, const std::string& scenario,
                     milliseconds budget = kPassBudget) {
    const std::vector<Result> results = run(lock, budget, scenario);
    ASSERT_EQ(results.size(), 1u) << lock.name;
    EXPECT_EQ(results[0].verdict, Verdict::kPass)
        << lock.name << ": " << results[0].reason
        << (results[0].finding ? results[0].rule + ": " + results[0].finding->summary : "");
  }

  /// There is nothing to strike at, which is said.
  void expect_skipped(const LockSpec& lock, const std::string& scenario) {
    const std::vector<Result> results = run(lock, kPassBudget, scenario);
    ASSERT_EQ(results.size(), 1u) << lock.name;
    EXPECT_EQ(results[0].verdict, Verdict::kSkipped) << lock.name << ": " << results[0].reason;
  }

  /// Of the catalogue, peers included.
  static LockSpec by_name(const std::string& name) {
    Catalog all = reference_catalog();
    std::ranges::copy(adapter_catalog(), std::back_inserter(all));
    for (const LockSpec& lock : all) {
      if (lock.name == name) return lock;
    }
    ADD_FAILURE() << "the catalogue has no " << name;
    return {};
  }

  static constexpr milliseconds kPassBudget{1'500};
  // For deaths at a fourth of the points at least.
  static constexpr milliseconds kDeathsBudget{15'000};
  // Each takes seconds; the budget is for a machine with other things to do.
  static constexpr milliseconds kBudget{120'000};
  FreeDriver driver_;
  std::string directory_;
};

TEST_F(FreeDriverTest, CatchesTwoInsideAtOnce) {
  expect_caught("split_test_and_set", "burst/exclusion");
}
TEST_F(FreeDriverTest, CatchesALostWake) { expect_caught("forgotten_sleepers", "burst/exclusion"); }
TEST_F(FreeDriverTest, CatchesAReaderBesideAWriter) {
  expect_caught("hasty_reader", "burst/readers");
}
TEST_F(FreeDriverTest, CatchesReadersKeptApart) {
  expect_caught("lonely_reader", "burst/readers-after-writer");
}
TEST_F(FreeDriverTest, CatchesAnEarlyTimeout) { expect_caught("hasty_timeout", "burst/timed"); }
TEST_F(FreeDriverTest, CatchesALeakedPermit) { expect_caught("leaky_semaphore", "*"); }
TEST_F(FreeDriverTest, CatchesShallowNesting) { expect_caught("shallow_reentry", "burst/nested"); }
TEST_F(FreeDriverTest, CatchesAnUnnoticedDeath) { expect_caught("orphaned_lock", "crash/*"); }
TEST_F(FreeDriverTest, CatchesATakeoverFromTheLiving) {
  expect_caught(spec_of<TakesAside>("takes_aside"), {"ST-3", "CR-5"}, "crash/stampede");
}
TEST_F(FreeDriverTest, CatchesAnUpgradeThatLetsOthersIn) {
  expect_caught(path_spec_of<Converts>("converts"), {"RW-1", "RW-4", "RW-7"}, "burst/conversions");
}
TEST_F(FreeDriverTest, CatchesSuccessByInterruption) {
  expect_caught(path_spec_of<InterruptedIsMine>("interrupted"), {"ME-1", "ME-2"}, "burst/signals");
}
TEST_F(FreeDriverTest, CatchesAnInheritedHold) {
  expect_caught(path_spec_of<Inheritable>("inheritable"), {"FK-5"}, "fork/exec");
  expect_passed(path_spec_of<NotInheritable>("not_inheritable"), "fork/exec");
}

TEST_F(FreeDriverTest, CatchesWhatANewProgramKeeps) {
  expect_passed(by_name("flock"), "crash/exec");
  expect_passed(by_name("pthread.mutex_robust"), "crash/exec");
  expect_caught(path_spec_of<OutlivesExec>("outlives"), {"CR-10"}, "crash/exec");
}
TEST_F(FreeDriverTest, CatchesAChildThatUndoesItsParentsCall) {
  expect_caught(path_spec_of<HalfTaken>("half_taken"), {"FK-6"}, "fork/within");
  expect_passed(by_name("inter_process_lock"), "fork/within");
}

TEST_F(FreeDriverTest, CatchesWhoDoesNotLookAtThePathAgain) {
  expect_caught(path_spec_of<MindsItsPath<false>>("does_not_look"), {"FS-4"}, "files/removed");
  expect_passed(path_spec_of<MindsItsPath<true>>("looks"), "files/removed");
}
TEST_F(FreeDriverTest, CatchesAReaderWhoWaitsBehindAWriterWhoWaitsForHim) {
  expect_caught("forgetful_host", "burst/nested-readers");
  expect_passed(by_name("shared_reentrant_lock"), "burst/nested-readers");
}
TEST_F(FreeDriverTest, CatchesWhoRemovesAnothersFile) {
  expect_caught(path_spec_of<CleansUp<false>>("removes_any"), {"FS-4"}, "files/removed");
  expect_passed(path_spec_of<CleansUp<true>>("removes_its_own"), "files/removed");
}
TEST_F(FreeDriverTest, CatchesWhoCountsOnAFileThatItMadeOnce) {
  expect_caught(path_spec_of<MakesItOnce>("makes_it_once"), {"FS-4"}, "files/replaced");
  expect_passed(path_spec_of<MindsItsPath<true>>("looks"), "files/replaced");
  expect_skipped(path_spec_of<KeepsItOpen>("keeps_it_open"), "files/replaced");
}
TEST_F(FreeDriverTest, CatchesWhoWaitsForAFifo) {
  expect_caught(path_spec_of<OpensToWrite<0>>("waits"), {"FS-8"}, "files/hostile");
  expect_caught(path_spec_of<CannotOpenSoFree>("cannot_open"), {"FS-8"}, "files/hostile");
  expect_passed(path_spec_of<OpensToWrite<O_NONBLOCK>>("refuses"), "files/hostile");
}
TEST_F(FreeDriverTest, CatchesWhoGoesOnWithoutALock) {
  if (!gang::why_no_caught_calls().empty()) GTEST_SKIP() << gang::why_no_caught_calls();
  expect_caught(path_spec_of<WithoutLocks<true>>("goes_on"), {"FS-10"}, "files/refused");
  expect_passed(path_spec_of<WithoutLocks<false>>("gives_up"), "files/refused");
}
// Locks that are no templates have no hook points: they are struck where they call the system.
TEST_F(FreeDriverTest, CatchesADeathBetweenSystemCalls) {
  if (!gang::why_no_caught_calls().empty()) GTEST_SKIP() << gang::why_no_caught_calls();
  expect_caught(path_spec_of<WritesDown<false>>("waits_for_more"), {"CR-5"}, "crash/exclusion");
  expect_passed(path_spec_of<WritesDown<true>>("takes_empty"), "crash/exclusion", kDeathsBudget);
}
TEST_F(FreeDriverTest, CatchesWhoLeavesTheDeadTheirFile) {
  expect_caught(path_spec_of<WritesDown<true, false>>("waits_for_dead"), {"CR-5"}, "burst/stale");
  expect_passed(path_spec_of<WritesDown<true>>("takes_over"), "burst/stale");
}
TEST_F(FreeDriverTest, ForksBetweenSystemCalls) {
#ifdef HOBBS_TSAN
  GTEST_SKIP() << "ThreadSanitizer's fork() blocks all signals, and the child is ended for that";
#endif
  if (!gang::why_no_caught_calls().empty()) GTEST_SKIP() << gang::why_no_caught_calls();
  expect_passed(path_spec_of<MindsItsPath<true>>("looks"), "fork/within");
}
TEST_F(FreeDriverTest, LeavesAloneWhoStartsPrograms) {
  expect_passed(path_spec_of<StartsPrograms<false>>("spawns"), "burst/several+delays");
  expect_passed(path_spec_of<StartsPrograms<true>>("forks"), "burst/several+delays");
}
TEST_F(FreeDriverTest, LeavesAloneWhoBlocksSignals) {
  expect_passed(spec_of<BlocksSignals<false>>("blocks_signals"), "burst/several+delays");
  // Where a parent sees its child end.
  expect_passed(spec_of<BlocksSignals<true>>("children_block"), "fork/inside+delays");
}
TEST_F(FreeDriverTest, CatchesWhoWaitsByTheWallClock) {
  if (!gang::why_no_caught_calls().empty()) GTEST_SKIP() << gang::why_no_caught_calls();
  expect_caught(spec_of<WaitsByWallClock<false>>("gives_up"), {"TO-8"}, "burst/clock");
  expect_passed(spec_of<WaitsByWallClock<true>>("looks_again"), "burst/clock");
#ifndef HOBBS_TSAN  // Which takes a mutex in memory used again for the one that was there before.
  expect_skipped(by_name("pthread.mutex"), "burst/clock");
#endif
}
TEST_F(FreeDriverTest, CatchesWhoTakesGarbageForFree) {
  expect_caught(path_spec_of<ReadsItsFile>("reads_its_file"), {"FS-9"}, "files/garbled");
  expect_passed(by_name("flock"), "files/garbled");
}

TEST_F(FreeDriverTest, CatchesWhoCountsTheUnreapedAsAlive) {
  expect_caught(spec_of<AliveWhileUnreaped>("unreaped"), {"CR-18"}, "crash/zombies");
}
TEST_F(FreeDriverTest, CatchesWhoTakesATwinForTheOwner) {
  expect_mistaken(spec_of<NumberIsOwner>("number"), by_name("process_reentrant_lock"),
                  "place/twin-numbers", "ID-3");
}
TEST_F(FreeDriverTest, CatchesWhoTakesANumberForTheOwnerWhoHadIt) {
  expect_mistaken(spec_of<AliveWhileUnreaped>("unreaped"), spec_of<RobustMutex>("robust"),
                  "crash/reused-number", "ID-1");
}
/// Whose waiters pass hook points for ever, so that each may fork for ever.
TEST_F(FreeDriverTest, ForksAreBoundedAndSeenOff) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  for (const mutants::Mutant& mutant : mutants::gallery()) {
    if (mutant.lock.name == "stubborn_flags") run(mutant.lock, kPassBudget, "fork/within");
  }
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
  constexpr int kOfOneGang = 3 * 32;
  int left = 0;
  while (::waitpid(-1, nullptr, 0) > 0) ++left;
  EXPECT_LE(left, kOfOneGang);
}
TEST_F(FreeDriverTest, CatchesATimedCallThatStaysAsLongAsTheHolder) {
  expect_caught("endless_turnstile", "burst/timed");
}
TEST_F(FreeDriverTest, CatchesARaceOfFirstUses) {
  expect_caught(spec_of<FirstUse>("first_use"), {"ME-1", "ME-2", "LV-1"}, "place/anew");
  expect_passed(by_name("futex_mutex"), "place/anew");
}
TEST_F(FreeDriverTest, CatchesWhoHasNoRoomForTheLargestId) {
  expect_caught("short_row", "place/numbers");
  expect_passed(by_name("mcs"), "place/numbers");
}
TEST_F(FreeDriverTest, CatchesWaitersWhoDoNotSleep) {
  expect_mistaken(spec_of<Sleepless>("sleepless"), by_name("futex_mutex"), "wait/asleep", "RS-3");
  LockSpec spins = by_name("ticket");
  spins.claims.waits_asleep = true;
  expect_mistaken(spins, by_name("rw_phase_fair"), "wait/asleep", "RS-3");
}
TEST_F(FreeDriverTest, CatchesZeroedMemoryThatIsNoLock) {
  expect_mistaken(spec_of<FreeIsOne>("free_is_one"), by_name("ticket"), "place/zeroed", "AB-1");
}
TEST_F(FreeDriverTest, CatchesDeadlocksThatAreNotFound) {
  LockSpec waits = by_name("futex_mutex");
  waits.claims.finds_deadlock = Deadlock::kOwn;
  expect_mistaken(waits, by_name("pthread.mutex_errorcheck"), "deadlock/own", "DL-1");
  LockSpec ring = by_name("flock");
  ring.claims.finds_deadlock = Deadlock::kRing;
  expect_mistaken(ring, by_name("fcntl"), "deadlock/ring", "DL-2");
}
TEST_F(FreeDriverTest, CatchesWhoGivesUpItsLocksForADeadlock) {
  expect_mistaken(path_spec_of<GivesUpAll>("gives_up_all"), by_name("fcntl"), "deadlock/kept",
                  "DL-5");
}
TEST_F(FreeDriverTest, CatchesWhoTakesAnotherNameForAnotherLock) {
  expect_mistaken(path_spec_of<HeldInProcess<false>>("by_letters"),
                  path_spec_of<HeldInProcess<true>>("by_file"), "place/other-names", "FS-7");
  expect_skipped(path_spec_of<WholePathsOnly>("whole_paths_only"), "place/other-names");
  LockSpec not_by_threads = by_name("fcntl");  // By no name, so that names are not to blame.
  not_by_threads.claims.thread_shared = true;
  not_by_threads.claims.closing_frees = false;
  expect_passed(not_by_threads, "place/other-names");
  LockSpec never_refuses = by_name("flock");
  never_refuses.real.try_acquire = [](void*) { return Outcome::kAcquired; };
  expect_skipped(never_refuses, "place/other-names");
}
/// As /proc has them, a line each after the first.
int semaphore_sets() {
  std::ifstream file("/proc/sysvipc/sem");
  int lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines - 1;
}
/// Where nobody else makes or removes any.
TEST_F(FreeDriverTest, OtherNamesLeaveNoSemaphoreSets) {
  constexpr int kNoneLeft = 0, kSomeLeft = 1, kNotPassed = 2, kNotAlone = 3;
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWIPC) != 0) _exit(kNotAlone);
    const std::vector<Result> results =
        run(by_name("sysv.semaphore"), kBudget, "place/other-names");
    if (results.size() != 1 || results[0].verdict != Verdict::kPass) _exit(kNotPassed);
    _exit(semaphore_sets() == 0 ? kNoneLeft : kSomeLeft);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNotAlone) GTEST_SKIP() << "the system refuses an IPC namespace";
  EXPECT_EQ(WEXITSTATUS(status), kNoneLeft);
}
TEST_F(FreeDriverTest, CatchesTheDeathOfAThread) {
  LockSpec lock = spec_of<AliveWhileUnreaped>("thread");
  expect_caught(lock, {"CR-2"}, "crash/threads");
}
TEST_F(FreeDriverTest, CatchesWhatIsLeftBehindInTheLock) {
  expect_caught(spec_of<Marked>("marked"), {"AB-4"}, "burst/exclusion");
}
TEST_F(FreeDriverTest, CatchesAReleaseThatTouchesWhatIsDestroyed) {
  expect_caught("lingering_release", "burst/destroy");
}
TEST_F(FreeDriverTest, CatchesAnAddressTakenForAHolder) {
  expect_caught(spec_of<Addressed>("addressed"), {"MM-5"}, "place/addresses");
}
TEST_F(FreeDriverTest, CatchesAProcessTakenForAHolder) {
  LockSpec lock;
  for (const mutants::Mutant& mutant : mutants::gallery()) {
    if (mutant.lock.name == "process_identity") lock = mutant.lock;
  }
  expect_caught(lock, {"ME-5"}, "place/mixture");
}
TEST_F(FreeDriverTest, CatchesALeaseThatRunsOut) {
  expect_caught(spec_of<Lease>("lease"), {"ST-2"}, "hold/long");
}
TEST_F(FreeDriverTest, CatchesAFirstUseThatIsNotTheFirst) {
  expect_caught(path_spec_of<EverybodyInitialises>("initialises"), {"FS-18"}, "place/first");
}
TEST_F(FreeDriverTest, CatchesAChildThatFreesItsParentsLock) {
  expect_caught(path_spec_of<TidyChild>("tidy_child"), {"FK-2"}, "fork/ends");
}
TEST_F(FreeDriverTest, CatchesAChildWhoseEndFreesItsParentsLock) {
  expect_caught(path_spec_of<TidyEnd>("tidy_end"), {"FK-2"}, "fork/ends");
}
TEST_F(FreeDriverTest, CatchesAChildThatIsNeverWoken) {
  LockSpec lock;
  for (const mutants::Mutant& mutant : mutants::gallery()) {
    if (mutant.lock.name == "local_wake") lock = mutant.lock;
  }
  expect_caught(lock, {"FK-3"}, "fork/beside");
}
TEST_F(FreeDriverTest, CatchesAnInterruptionThatFreesOthers) {
  expect_caught(path_spec_of<LetsGoOfAll>("lets_go"), {"SG-3"}, "signals/several");
}
TEST_F(FreeDriverTest, CatchesALeakOfDescriptors) {
  expect_caught(path_spec_of<LeavesOpen>("leaves_open"), {"RS-1"}, "burst/exclusion");
}
TEST_F(FreeDriverTest, CatchesSuccessWithoutADescriptor) {
  expect_caught(path_spec_of<CannotOpenSoFree>("cannot_open"), {"FS-10"}, "files/scarce");
}
TEST_F(FreeDriverTest, CatchesADeadlockThatIsNone) {
  expect_caught(spec_of<SeesDeadlocks>("sees_deadlocks"), {"DL-4"}, "burst/exclusion");
}

TEST_F(FreeDriverTest, CatchesAHoldThatIsLostByClosing) {
  // Who is let in meanwhile may be told first.
  expect_caught(path_spec_of<LosesByClosing>("loses"), {"FS-2", "ME-1"}, "files/aliases");
  expect_passed(by_name("flock"), "files/aliases");
  LockSpec declared = path_spec_of<LosesByClosing>("declared");
  declared.claims.closing_frees = true;
  EXPECT_TRUE(run(declared, kPassBudget, "files/aliases").empty());
}
TEST_F(FreeDriverTest, CatchesADeathWithSeveralLocks) {
  LockSpec lock;
  for (const mutants::Mutant& mutant : mutants::gallery()) {
    if (mutant.lock.name == "orphaned_lock") lock = mutant.lock;
  }
  expect_caught(lock, {"CR-9"}, "crash/several");
}

/// The report of a stall says on which word of the lock its workers wait.
TEST_F(FreeDriverTest, TellsOnWhatTheStalledWait) {
  LockSpec lock;
  for (const mutants::Mutant& mutant : mutants::gallery()) {
    if (mutant.lock.name == "forgotten_sleepers") lock = mutant.lock;
  }
  const std::optional<Result> found = finding(lock, kBudget, "burst/exclusion");
  ASSERT_TRUE(found);
  const auto& evidence = found->finding->evidence;
  EXPECT_TRUE(std::any_of(evidence.begin(), evidence.end(), [](const std::string& line) {
    return line.find("on the word at byte 0 of lock 0") != std::string::npos;
  })) << found->finding->evidence.front();
}

TEST_F(FreeDriverTest, AccusesNoLockOfTheCatalogue) {
  for (const LockSpec& lock : reference_catalog()) {
    for (const Result& result : run(lock, milliseconds(600))) {
      EXPECT_NE(result.verdict, Verdict::kFail)
          << lock.name << ": " << result.rule << ", " << result.finding->summary << "\n"
          << result.finding->program;
    }
  }
}

}  // namespace

/// What the fresh processes of a test serve.
Catalog served_locks() { return {spec_of<Addressed>("addressed")}; }

}  // namespace hobbs

int main(int argc, char** argv) {
  if (const auto status = hobbs::gang::serve_spawned(argc, argv, hobbs::served_locks())) {
    return *status;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
