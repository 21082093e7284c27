// Every schedule by real processes: counts of them, a broken lock found, a correct one not accused.
#include "harness/step/baton.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "harness/step/subjects_for_test.h"

namespace hobbs::step {
namespace {

using namespace step_subjects;

BatonReport run(const LockSpec& lock, const char* program, int preemptions, int seconds,
                Breakpoints::Kind kind = Breakpoints::Kind::kJumps) {
  World world(lock, parse_program(program).program, {});
  const auto start = std::chrono::steady_clock::now();
  const BatonReport report = run_all_schedules(
      world, preemptions, (start + std::chrono::seconds(seconds)).time_since_epoch().count(), kind);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  std::printf(
      "%-16s %2d preemptions: %lu schedules, %lu stops, %lu divergences in %.1f ms%s%s; "
      "%zu traps at %zu sites\n",
      lock.name.c_str(), preemptions, report.schedules, report.stops, report.divergences,
      took.count(), report.complete ? ", all" : "", report.refusal.c_str(), report.traps,
      report.sites);
  return report;
}

constexpr const char* kTwo = "lock unlock | lock unlock";

TEST(Baton, RunsTheSchedulesWithFewPreemptionsOfGlibcsMutex) {
  for (const int bound : {0, 1, 2}) {
    const BatonReport report = run(spec_of<PosixMutex>("pthread mutex"), kTwo, bound, 30);
    if (!report.refusal.empty()) GTEST_SKIP() << report.refusal;
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.finding, "");
    EXPECT_GE(report.schedules, 2u);
  }
}

TEST(Baton, FindsABrokenLock) {
  const BatonReport broken = run(spec_of<TestThenSet>("test then set"), kTwo, 2, 30);
  if (!broken.refusal.empty()) GTEST_SKIP() << broken.refusal;
  EXPECT_EQ(broken.finding, "two workers held the lock at once");
  const BatonReport deaf = run(spec_of<PrivateFutex>("private futex"), kTwo, 2, 30);
  EXPECT_EQ(deaf.finding, "those that are not done sleep for ever");
  EXPECT_EQ(run(spec_of<FutexMutex>("futex mutex"), kTwo, 2, 60).finding, "");
}

// A jump and a signal stop at the same places, in the same order, for the same schedules.
TEST(Baton, JumpsAndTrapsAgree) {
  const LockSpec locks[] = {spec_of<PosixMutex>("pthread mutex"),
                            spec_of<FutexMutex>("futex mutex"),
                            spec_of<TestThenSet>("test then set")};
  for (const LockSpec& lock : locks) {
    for (const int bound : {0, 1, 2, 3}) {
      const BatonReport jumps = run(lock, kTwo, bound, 30);
      if (!jumps.refusal.empty()) GTEST_SKIP() << jumps.refusal;
      const BatonReport traps = run(lock, kTwo, bound, 30, Breakpoints::Kind::kTraps);
      EXPECT_EQ(jumps.schedules, traps.schedules);
      EXPECT_EQ(jumps.stops, traps.stops);
      EXPECT_EQ(jumps.fingerprint, traps.fingerprint);
      EXPECT_EQ(jumps.finding, traps.finding);
      EXPECT_EQ(traps.traps, traps.sites);
    }
  }
}

// As many as the machine's load allows: on a quiet one all, in some seconds.
TEST(Baton, RunsEveryScheduleOfGlibcsMutex) {
  const BatonReport report = run(spec_of<PosixMutex>("pthread mutex"), kTwo, -1, 10);
  if (!report.refusal.empty()) GTEST_SKIP() << report.refusal;
  EXPECT_EQ(report.finding, "");
  EXPECT_GT(report.schedules, 0u);
}

}  // namespace
}  // namespace hobbs::step
