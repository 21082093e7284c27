// Locks as machine code, without our seam: the broken ones are accused by their rule, the real
// libraries' are searched completely and found clean.
#include "harness/step/step_driver.h"

#include <gnu/libc-version.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "harness/step/subjects_for_test.h"
#include "locks/adapters/adapters.h"

namespace hobbs {
namespace {

using namespace step_subjects;

struct GivesUpEarly : FutexMutex {  // A timed acquire that does not wait.
  bool try_lock_until(SteadyTime) { return try_lock(); }
};

Request request_for(std::chrono::seconds budget) {
  Request request;
  request.until = std::chrono::steady_clock::now() + budget;
  return request;
}

/// The first finding's rule and memory model; empty if there is none.
std::string accusation(const LockSpec& lock) {
  StepDriver driver;
  for (const Result& result : driver.run(lock, request_for(std::chrono::seconds(30)))) {
    if (result.verdict != Verdict::kFail) continue;
    const ReplayOutcome again =
        driver.replay(lock, result.finding->replay_json, request_for(std::chrono::seconds(30)));
    EXPECT_EQ(again.error, "");
    EXPECT_EQ(again.failed, again.of) << "a finding must replay";
    EXPECT_GT(again.of, 0u);
    EXPECT_FALSE(result.finding->history.empty());
    return result.rule + " " + result.scenario.substr(7, 3);
  }
  return "";
}

TEST(Step, AccusesBrokenMachineCodeByItsRule) {
  EXPECT_EQ(accusation(spec_of<TestThenSet>("test then set")), "ME-1 sc/");
  EXPECT_EQ(accusation(spec_of<ForgetsWaiters>("forgets waiters")), "LV-1 sc/");
  EXPECT_EQ(accusation(spec_of<PrivateFutex>("private futex")), "LV-1 sc/");
  EXPECT_EQ(accusation(spec_of<GivesUpEarly>("gives up early")), "TO-1 sc/");
}

TEST(Step, FindsAMissingFenceOnlyUnderTotalStoreOrder) {
  EXPECT_EQ(accusation(spec_of<NoStoreLoadFence>("no fence")), "ME-1 tso");
}

/// A robust mutex whose wrapper forgets to tell of the death.
struct HidesTheDeath : PosixRobust {
  Outcome lock() {
    PosixRobust::lock();
    return Outcome::kAcquired;
  }
};

void expect_complete(const LockSpec& lock) {
  StepDriver driver;
  const std::vector<Result> results = driver.run(lock, request_for(std::chrono::seconds(120)));
  EXPECT_GE(results.size(), 6u) << lock.name;
  for (const Result& result : results) {
    EXPECT_EQ(result.verdict, Verdict::kPass)
        << lock.name << " " << result.scenario << ": " << result.rule << " " << result.reason
        << (result.finding ? result.finding->summary + " " + result.finding->schedule : "");
    EXPECT_TRUE(result.complete) << lock.name << " " << result.scenario;
  }
}

TEST(Step, SearchesTheCLibrarysLocksCompletely) {
  expect_complete(spec_of<FutexMutex>("our futex mutex"));
  expect_complete(spec_of<PosixMutex>("pthread mutex"));
  expect_complete(spec_of<PosixSemaphore>("posix semaphore"));
  expect_complete(spec_of<PosixReadWrite>("pthread rwlock"));
}

TEST(Step, KillsAtEveryPointAndJudgesRecovery) {
  Claims robust;
  robust.crash = CrashBehaviour::kOwnerDied;
  EXPECT_EQ(accusation(spec_of<HidesTheDeath>("hides the death", robust)), "CR-1 sc/");
  // A mutex that claims recovery and has none: the others wait for a dead owner for ever.
  EXPECT_EQ(accusation(spec_of<FutexMutex>("claims recovery", robust)).substr(0, 4), "CR-5");
}

TEST(Step, AnswersWhoseProcessLives) {
  Claims robust;
  robust.crash = CrashBehaviour::kOwnerDied;
  expect_complete(spec_of<TakesOver<true>>("asks", robust));
  EXPECT_NE(accusation(spec_of<TakesOver<false>>("does not ask", robust)), "");
}

TEST(Step, SaysWhatItDoesNotModel) {
  struct ReadsTheClock {
    std::atomic<std::uint32_t> word{0};
    void lock() {
      asm volatile("rdtsc" ::: "rax", "rdx");
      while (word.exchange(1) != 0) ::sched_yield();
    }
    void unlock() { word.store(0); }
  };
  for (const bool beside_others : {false, true}) {
    StepDriver driver;
    Request request = request_for(std::chrono::seconds(5));
    request.beside_others = beside_others;
    const std::vector<Result> results =
        driver.run(spec_of<ReadsTheClock>("reads the clock"), request);
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].verdict, beside_others ? Verdict::kSkipped : Verdict::kInconclusive);
    EXPECT_NE(results[0].reason.find("rdtsc"), std::string::npos) << results[0].reason;
  }
}

/// Waits for a while of its own choice; what then, is its weakness or not.
template <bool kTakesOver>
struct AsksTheTime {
  std::atomic<std::uint32_t> word{0};
  void lock() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
    while (word.exchange(1) != 0) {
      if (kTakesOver && std::chrono::steady_clock::now() >= until) return;
      ::sched_yield();
    }
  }
  void unlock() { word.store(0); }
};

/// See surprises_test.cc.
TEST(Step, FindsTheReaderThatGlibcsRwlockLoses) {
  if (std::string(gnu_get_libc_version()) != "2.36") GTEST_SKIP() << "examined in glibc 2.36";
  for (const LockSpec& lock : pthread_locks()) {
    if (lock.name != "pthread.rwlock" && lock.name != "pthread.rwlock_prefer_writer") continue;
    Request request = request_for(std::chrono::seconds(100));
    request.memory = "sc";
    request.scenarios = "binary/sc/timed-writer";
    StepDriver driver;
    const std::vector<Result> results = driver.run(lock, request);
    ASSERT_EQ(results.size(), 1u) << "only where it is named";
    const bool prefers_writers = lock.name != "pthread.rwlock";
    EXPECT_EQ(results[0].verdict, prefers_writers ? Verdict::kFail : Verdict::kPass);
    if (!prefers_writers) continue;
    EXPECT_EQ(results[0].rule, "LV-1");
  }
}

TEST(Step, LetsTimePassForWhoeverAsksForIt) {
  EXPECT_EQ(accusation(spec_of<AsksTheTime<false>>("asks the time")), "");
  EXPECT_EQ(accusation(spec_of<AsksTheTime<true>>("takes over")).substr(0, 4), "ME-1");
}

/// Stays away until a time of its own choice whenever it looks in vain: by itself or yielding. The
/// broken one does not release once somebody has.
template <bool kYields, bool kBroken>
struct StaysAway {
  std::atomic<std::uint32_t> word{0};
  std::atomic<std::uint32_t> in_vain{0};
  void lock() {
    using Clock = std::chrono::steady_clock;
    for (int us = 1; word.exchange(1) != 0; us = std::min(2 * us, 64)) {
      if (kBroken) in_vain.store(1);
      const auto until = Clock::now() + std::chrono::microseconds(us);
      while (Clock::now() < until) {
        if (kYields) ::sched_yield();
        if (!kYields) __builtin_ia32_pause();
      }
    }
  }
  void unlock() {
    if (!kBroken || in_vain.load() == 0) word.store(0);
  }
};

TEST(Step, AccusesNobodyOfAClockThatStandsStill) {
  EXPECT_EQ(accusation(spec_of<StaysAway<true, false>>("yields")), "");
  EXPECT_EQ(accusation(spec_of<StaysAway<false, false>>("pauses")), "");
  EXPECT_EQ(accusation(spec_of<StaysAway<true, true>>("yields, broken")), "LV-1 sc/");
  EXPECT_EQ(accusation(spec_of<StaysAway<false, true>>("pauses, broken")), "LV-1 sc/");
}

/// The first page that the kernel maps for its clocks: the processor can read it, the model cannot.
const volatile std::uint32_t* clock_page() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with("[vvar]")) {
      return reinterpret_cast<const volatile std::uint32_t*>(std::stoull(line, nullptr, 16));
    }
  }
  return nullptr;
}

TEST(Step, BlamesNobodyForMemoryThatItCannotModel) {
  static const volatile std::uint32_t* const page = clock_page();
  if (page == nullptr) GTEST_SKIP() << "this kernel has no such page";
  struct LooksAtTheClockPage : FutexMutex {
    void lock() {
      if (*page == 0xffffffff) return;
      FutexMutex::lock();
    }
  };
  StepDriver driver;
  const std::vector<Result> results =
      driver.run(spec_of<LooksAtTheClockPage>("clock page"), request_for(std::chrono::seconds(5)));
  ASSERT_FALSE(results.empty());
  EXPECT_EQ(results[0].verdict, Verdict::kInconclusive);
  EXPECT_NE(results[0].reason.find("which is not modelled, at "), std::string::npos)
      << results[0].reason;
}

TEST(Step, ANamedSearchIsWhatIsRun) {
  StepDriver driver;
  Request request = request_for(std::chrono::seconds(30));
  request.workers = 2;
  request.acquisitions = 2;
  request.memory = "tso";
  request.preemptions = 1;
  const LockSpec lock = spec_of<FutexMutex>("our futex mutex");
  const std::vector<Result> results = driver.run(lock, request);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].scenario, "binary/tso/2x2");
  EXPECT_EQ(results[0].verdict, Verdict::kPass) << results[0].reason;
  EXPECT_FALSE(results[0].complete) << "a bound leaves schedules out";
  EXPECT_NE(results[0].reason.find("at most 1 preemptions"), std::string::npos)
      << results[0].reason;
}

TEST(Step, SearchesLongProgramsToTheirEndOrRefusesThem) {
  StepDriver driver;
  Request request = request_for(std::chrono::seconds(60));
  request.workers = 1;
  request.acquisitions = 127;
  request.memory = "sc";
  const LockSpec lock = spec_of<FutexMutex>("our futex mutex");
  std::vector<Result> results = driver.run(lock, request);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].verdict, Verdict::kPass) << results[0].reason;
  request.acquisitions = 128;
  results = driver.run(lock, request);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].verdict, Verdict::kSkipped);
  EXPECT_EQ(results[0].reason, "step runs at most 127 acquisitions of each worker, not 128");
}

TEST(Step, RefusesWhatItWouldNotSearchAsNamed) {
  StepDriver driver;
  const LockSpec lock = spec_of<FutexMutex>("our futex mutex");
  const auto reason = [&](auto change) {
    Request request = request_for(std::chrono::seconds(5));
    change(request);
    const std::vector<Result> results = driver.run(lock, request);
    return results.size() == 1 && results[0].verdict == Verdict::kSkipped ? results[0].reason : "";
  };
  EXPECT_EQ(reason([](Request& r) { r.workers = 20; }), "step runs at most 5 workers, not 20");
  EXPECT_EQ(reason([](Request& r) { r.memory = "c11"; }),
            "step runs machine code: its memory models are sc and tso");
}

TEST(Step, ANamedStrategyDrawsSchedules) {
  StepDriver driver;
  Request request = request_for(std::chrono::seconds(30));
  request.workers = 5;
  request.acquisitions = 2;
  request.memory = "sc";
  request.strategy = "random";
  const std::vector<Result> found = driver.run(spec_of<ForgetsWaiters>("forgets waiters"), request);
  ASSERT_EQ(found.size(), 1u);
  ASSERT_TRUE(found[0].finding.has_value()) << found[0].reason;
  EXPECT_EQ(found[0].rule, "LV-1");
  EXPECT_NE(found[0].finding->evidence[0].find("drawn in a larger program, made small"),
            std::string::npos)
      << found[0].finding->evidence[0];
  EXPECT_EQ(found[0].finding->program, "lock unlock | lock unlock | lock unlock");
  EXPECT_EQ(driver
                .replay(spec_of<ForgetsWaiters>("forgets waiters"), found[0].finding->replay_json,
                        request)
                .failed,
            2u);
  request.strategy = "pct";
  request.until = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  const std::vector<Result> nothing = driver.run(spec_of<FutexMutex>("futex mutex"), request);
  ASSERT_EQ(nothing.size(), 1u);
  EXPECT_EQ(nothing[0].verdict, Verdict::kInconclusive) << "schedules drawn are never all";
  EXPECT_NE(nothing[0].reason.find("schedules drawn"), std::string::npos) << nothing[0].reason;
}

TEST(Step, PrintsATableOfCrashPoints) {
  StepDriver driver;
  Request request = request_for(std::chrono::seconds(30));
  request.kills = 1;
  request.memory = "sc";
  Claims robust;
  robust.crash = CrashBehaviour::kOwnerDied;
  const std::vector<Result> results = driver.run(spec_of<PosixRobust>("robust", robust), request);
  ASSERT_EQ(results.size(), 2u);
  for (const Result& result : results) {
    const std::string& table = result.finding ? result.finding->evidence.back() : result.reason;
    EXPECT_NE(table.find("holding     inside the section"), std::string::npos) << table;
    EXPECT_NE(table.find(" points:"), std::string::npos) << table;
  }
  const std::vector<Result> stuck = driver.run(spec_of<PosixMutex>("not robust"), request);
  ASSERT_FALSE(stuck.empty());
  EXPECT_EQ(stuck[0].verdict, Verdict::kPass) << stuck[0].reason;
  EXPECT_NE(stuck[0].reason.find("STUCK, as claimed"), std::string::npos) << stuck[0].reason;
}

TEST(Step, RefusesABadReplayFileInOneSentence) {
  StepDriver driver;
  const Request request = request_for(std::chrono::seconds(5));
  const LockSpec lock = spec_of<FutexMutex>("mutex");
  const auto error = [&](const char* json) { return driver.replay(lock, json, request).error; };
  EXPECT_NE(error("{"), "");
  EXPECT_NE(error(R"({"lock":"mutex","driver":"step","program":"lock","schedule":"1 9"})"), "");
  EXPECT_NE(error(R"({"lock":"mutex","driver":"step","program":"lock_shared"})"), "");
  EXPECT_NE(
      error(R"({"lock":"mutex","driver":"step","program":"lock","options":{"memory":"arm"}})"), "");
}

TEST(Step, AReplayThatCannotBeFollowedIsNoPass) {
  StepDriver driver;
  const Request request = request_for(std::chrono::seconds(20));
  const LockSpec lock = spec_of<FutexMutex>("mutex");
  const auto told = [&](const std::string& schedule) {
    const ReplayOutcome outcome = driver.replay(
        lock,
        R"({"lock":"mutex","driver":"step","rule":"ME-1","program":"lock unlock","schedule":")" +
            schedule + "\"}",
        request);
    EXPECT_EQ(outcome.error, "");
    return outcome.result;
  };
  EXPECT_EQ(told("1 1").verdict, Verdict::kPass);
  const Result killed = told("1k");  // In whose program nobody dies.
  EXPECT_EQ(killed.verdict, Verdict::kInconclusive);
  EXPECT_NE(killed.reason.find("cannot be followed"), std::string::npos) << killed.reason;
}

}  // namespace
}  // namespace hobbs
