// Every reference lock, as its spec describes it: exclusion between forked workers by every verb,
// try and timeout results, residue. The deeper search is the explorer's.
#include <gtest/gtest.h>

#include <random>

#include "locks/lock.h"
#include "locks/reference/testing.h"

namespace hobbs {
namespace {

using testing::LockMemory;
using testing::Shared;
using testing::Witness;
using namespace std::chrono_literals;

class ReferenceLock : public ::testing::TestWithParam<LockSpec> {
 protected:
  void SetUp() override { RealPlatform::attach(1); }
  const LockSpec& spec() const { return GetParam(); }
  const LockOps& ops() const { return GetParam().real; }
  void expect_no_residue(const LockMemory& free_lock) const {
    EXPECT_TRUE(!spec().claims.pristine_when_free || free_lock.all_zero());
  }
};

TEST_P(ReferenceLock, IsAvailableOnEveryPlatformAndStartsPristine) {
  EXPECT_TRUE(ops().available() && spec().hooked.available() && spec().controlled.available());
  EXPECT_TRUE(LockMemory(ops()).all_zero());
  EXPECT_FALSE(spec().summary.empty() || spec().source.empty());
}

TEST_P(ReferenceLock, IsFreeAgainAfterEachRelease) {
  LockMemory lock(ops());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ops().acquire(lock.get()), Outcome::kAcquired);
    EXPECT_EQ(ops().release(lock.get()), Outcome::kReleased);
    expect_no_residue(lock);
  }
}

/// One random acquiring call and its mode; false if it did not get the lock.
bool acquire_somehow(const LockOps& ops, void* lock, std::mt19937& random, Mode* mode) {
  const bool shared = ops.has_shared() && random() % 2 == 0;
  *mode = shared ? Mode::kShared : Mode::kExclusive;
  auto* plain = shared ? ops.acquire_shared : ops.acquire;
  auto* attempt = shared ? ops.try_acquire_shared : ops.try_acquire;
  auto* timed = shared ? ops.acquire_shared_until : ops.acquire_until;
  switch (random() % 4) {
    case 0: return attempt != nullptr && holds(attempt(lock));
    case 1: {
      if (timed == nullptr) return false;
      const std::int64_t deadline_ns = testing::in_ns(std::chrono::microseconds(random() % 50));
      const Outcome outcome = timed(lock, deadline_ns);
      if (outcome == Outcome::kTimedOut && testing::in_ns(0ns) < deadline_ns) std::abort();
      return holds(outcome);
    }
    default: return holds(plain(lock));
  }
}

constexpr std::uint64_t kSectionsEach = 40;

TEST_P(ReferenceLock, ExcludesForkedWorkersByEveryVerb) {
  if (spec().claims.semaphore) GTEST_SKIP() << "semaphore_test has its own";
  const std::uint32_t workers = std::min(spec().claims.max_workers, 3u);
  LockMemory lock(ops());
  Shared<Witness> witness;
  Shared<std::atomic<std::uint64_t>> sections;
  const auto end = RealPlatform::now() + 100ms;
  const int bad = testing::run_workers(workers, [&](std::uint32_t id) {
    std::mt19937 random(id);
    for (std::uint64_t exclusive = 0;;) {
      Mode mode;
      if (acquire_somehow(ops(), lock.get(), random, &mode)) {
        witness->enter(mode);
        for (unsigned n = random() % 64; n > 0; --n) __asm__ volatile("");
        witness->leave(mode);
        (mode == Mode::kShared ? ops().release_shared : ops().release)(lock.get());
        exclusive += mode == Mode::kExclusive;
      }
      // On a crowded machine the time alone may be over before anybody has contended.
      if (RealPlatform::now() >= end && exclusive >= kSectionsEach) {
        sections->fetch_add(exclusive);
        return 0;
      }
    }
  });
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(witness->violations(), 0u);
  EXPECT_EQ(witness->sum(), sections->load());
  EXPECT_GE(sections->load(), workers * kSectionsEach);
  expect_no_residue(lock);
}

TEST_P(ReferenceLock, AHeldLockRefusesTriesAndLeavesNoTrace) {
  if (ops().try_acquire == nullptr || spec().claims.semaphore) GTEST_SKIP() << "no exclusive try";
  LockMemory lock(ops());
  ASSERT_EQ(ops().acquire(lock.get()), Outcome::kAcquired);
  RealPlatform::attach(2);
  EXPECT_EQ(ops().try_acquire(lock.get()), Outcome::kBusy);
  if (ops().has_shared()) {
    EXPECT_EQ(ops().try_acquire_shared(lock.get()), Outcome::kBusy);
  }
  RealPlatform::attach(1);
  EXPECT_EQ(ops().release(lock.get()), Outcome::kReleased);
  RealPlatform::attach(2);
  EXPECT_EQ(ops().try_acquire(lock.get()), Outcome::kAcquired);
  EXPECT_EQ(ops().release(lock.get()), Outcome::kReleased);
  expect_no_residue(lock);
}

TEST_P(ReferenceLock, TimeoutsAreNeverEarlyAndLeaveNoTrace) {
  if (ops().acquire_until == nullptr || spec().claims.semaphore) GTEST_SKIP() << "not timed";
  LockMemory lock(ops());
  const std::int64_t past_ns = testing::in_ns(-1s);
  EXPECT_EQ(ops().acquire_until(lock.get(), past_ns), Outcome::kAcquired) << "free, if late";
  RealPlatform::attach(2);
  EXPECT_EQ(ops().acquire_until(lock.get(), past_ns), Outcome::kTimedOut);
  const std::int64_t deadline_ns = testing::in_ns(20ms);
  EXPECT_EQ(ops().acquire_until(lock.get(), deadline_ns), Outcome::kTimedOut);
  EXPECT_GE(testing::in_ns(0ns), deadline_ns);
  if (ops().acquire_shared_until != nullptr) {
    const std::int64_t again_ns = testing::in_ns(20ms);
    EXPECT_EQ(ops().acquire_shared_until(lock.get(), again_ns), Outcome::kTimedOut);
    EXPECT_GE(testing::in_ns(0ns), again_ns);
  }
  RealPlatform::attach(1);
  EXPECT_EQ(ops().release(lock.get()), Outcome::kReleased);
  expect_no_residue(lock);
  RealPlatform::attach(2);
  EXPECT_EQ(ops().acquire(lock.get()), Outcome::kAcquired);
  EXPECT_EQ(ops().release(lock.get()), Outcome::kReleased);
}

Catalog in_memory_locks() {
  Catalog chosen;
  for (LockSpec& spec : reference_catalog()) {
    if (spec.home == Home::kMemory && spec.claims.process_shared && !spec.seed) {
      chosen.push_back(spec);
    }
  }
  return chosen;
}

INSTANTIATE_TEST_SUITE_P(Catalog, ReferenceLock, ::testing::ValuesIn(in_memory_locks()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace hobbs
