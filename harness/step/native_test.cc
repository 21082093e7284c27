// The modelled world against real processes, transition by transition.
#include "harness/step/native.h"

#include <gnu/libc-version.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "harness/step/search.h"
#include "harness/step/subjects_for_test.h"

namespace hobbs::step {
namespace {

using namespace step_subjects;

/// A random path to the end, or of 400 transitions, without the choices that a real machine does
/// not leave to us.
std::vector<Transition> random_path(World& world, std::mt19937_64& random) {
  std::vector<Transition> path, enabled;
  State state = world.initial();
  for (int i = 0; i < 400 && !World::is_final(state.head); ++i) {
    world.enabled(state, enabled);
    if (enabled.empty()) break;
    path.push_back(enabled[random() % enabled.size()]);
    if (!world.step(state, path.back()).none()) break;
  }
  return path;
}

struct Totals {
  std::uint64_t paths = 0, registers = 0, instructions = 0;
};

void compare_paths(const LockSpec& lock, const char* program, unsigned kills, int paths,
                   Totals& totals) {
  World world(lock, parse_program(program).program, {.kills = kills});
  std::mt19937_64 random(7);
  for (int i = 0; i < paths; ++i) {
    const std::vector<Transition> path = random_path(world, random);
    const NativeReport report = run_natively(world, path, false);
    if (report.end == NativeReport::End::kRefused) GTEST_SKIP() << report.reason;
    ASSERT_EQ(report.end, NativeReport::End::kReproduced)
        << lock.name << ": " << report.reason << "\n"
        << to_text(path);
    ++totals.paths;
    totals.registers += report.registers_compared;
    totals.instructions += report.instructions;
  }
}

TEST(Native, RealProcessesDoWhatTheModelSays) {
  Totals totals;
  const char* const kThree = "lock unlock | lock unlock | lock unlock";
  compare_paths(spec_of<FutexMutex>("futex mutex"), kThree, 0, 12, totals);
  compare_paths(spec_of<FutexMutex>("futex mutex"), "lock unlock | try unlock", 0, 12, totals);
  compare_paths(spec_of<PosixMutex>("pthread mutex"), kThree, 0, 12, totals);
  compare_paths(spec_of<PosixSemaphore>("semaphore"), kThree, 0, 12, totals);
  compare_paths(spec_of<PosixReadWrite>("rwlock"), "lock unlock | lock_shared unlock | lock unlock",
                0, 12, totals);
  Claims robust;
  robust.crash = CrashBehaviour::kOwnerDied;
  compare_paths(spec_of<PosixRobust>("robust", robust), kThree, 1, 24, totals);
  compare_paths(spec_of<TakesOver<true>>("asks who lives", robust), kThree, 1, 24, totals);
  if (IsSkipped()) return;  // Tracing is not permitted here.
  EXPECT_GE(totals.paths, 108u);
  EXPECT_GT(totals.registers, 10'000u);
  RecordProperty("registers", static_cast<int>(totals.registers));
  RecordProperty("instructions", static_cast<int>(totals.instructions));
}

NativeReport confirm(const LockSpec& lock, const char* program) {
  World world(lock, parse_program(program).program, {});
  const SearchReport found = search(world, {});
  EXPECT_EQ(found.end, SearchReport::End::kViolation);
  return run_natively(world, found.path, found.rule == "LV-1");
}

TEST(Native, ReproducesCounterexamplesOnTheRealKernel) {
  for (const NativeReport& report :
       {confirm(spec_of<TestThenSet>("test then set"), "lock unlock | lock unlock"),
        confirm(spec_of<PrivateFutex>("private futex"), "lock unlock | lock unlock"),
        confirm(spec_of<ForgetsWaiters>("forgets waiters"),
                "lock unlock | lock unlock | lock unlock")}) {
    if (report.end == NativeReport::End::kRefused) GTEST_SKIP() << report.reason;
    EXPECT_EQ(report.end, NativeReport::End::kReproduced) << report.reason;
  }
}

/// Only for worker 1, who calls it once before there are others.
struct NeverOpens {
  std::atomic<std::uint32_t> word{1};
  void lock() {
    while (RealPlatform::self() > 1 && word.load() != 0) ::sched_yield();
  }
  void unlock() {}
};

TEST(Native, TellsADeadlockFromWhatWasOnlyLookedAtForAWhile) {
  const NativeReport asleep =
      confirm(spec_of<PrivateFutex>("private futex"), "lock unlock | lock unlock");
  if (asleep.end == NativeReport::End::kRefused) GTEST_SKIP() << asleep.reason;
  EXPECT_EQ(asleep.end, NativeReport::End::kReproduced) << asleep.reason;
  EXPECT_NE(asleep.stall.find("sleeps, and nobody is left"), std::string::npos) << asleep.stall;
  const NativeReport awake =
      confirm(spec_of<NeverOpens>("never opens"), "lock unlock | lock unlock");
  EXPECT_EQ(awake.end, NativeReport::End::kReproduced) << awake.reason;
  EXPECT_NE(awake.stall.find("worker 2 had not finished after"), std::string::npos) << awake.stall;
}

// A surprise in a library that everyone trusts. A releaser of glibc's robust mutex that dies
// between clearing the word and waking leaves the wake to the kernel; the kernel wakes only if the
// word is still zero. If a third process has taken the mutex meanwhile, its word has no waiters
// bit, so its release wakes nobody: the sleeper sleeps for ever. Two processes never reach this.
TEST(Native, GlibcsRobustMutexLosesAWakeWhenAThirdProcessBarges) {
  if (std::string(gnu_get_libc_version()) != "2.36") {
    GTEST_SKIP() << "examined in glibc 2.36, this is " << gnu_get_libc_version();
  }
  Claims robust;
  robust.crash = CrashBehaviour::kOwnerDied;
  const LockSpec lock = spec_of<PosixRobust>("robust", robust);
  World two(lock, parse_program("lock unlock | lock unlock").program, {.kills = 1});
  EXPECT_EQ(search(two, {}).end, SearchReport::End::kComplete);
  World three(lock, parse_program("lock unlock | lock unlock | lock unlock").program, {.kills = 1});
  const SearchReport found = search(three, {});
  ASSERT_EQ(found.end, SearchReport::End::kViolation);
  EXPECT_EQ(found.rule, "CR-5");
  const NativeReport report = run_natively(three, found.path, true);
  if (report.end == NativeReport::End::kRefused) GTEST_SKIP() << report.reason;
  EXPECT_EQ(report.end, NativeReport::End::kReproduced) << report.reason;
}

TEST(Native, AStallThatIsNoneIsNotConfirmed) {
  World world(spec_of<FutexMutex>("futex mutex"),
              parse_program("lock unlock | lock unlock").program, {});
  // Worker 1 is stopped inside its call; let go, it comes back, and so does the other: no stall.
  const std::vector<Transition> path{{Transition::Kind::kRun, 0}};
  const NativeReport report = run_natively(world, path, true);
  if (report.end == NativeReport::End::kRefused) GTEST_SKIP() << report.reason;
  EXPECT_EQ(report.end, NativeReport::End::kDiffers);
  EXPECT_NE(report.reason.find("came back"), std::string::npos) << report.reason;
}

}  // namespace
}  // namespace hobbs::step
