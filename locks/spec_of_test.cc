#include "locks/spec_of.h"

#include <gtest/gtest.h>

#include <mutex>
#include <shared_mutex>

namespace hobbs {
namespace {

template <class P>
struct TestAndSet {
  static constexpr char kind[] = "mutex";
  typename P::template atomic<std::uint32_t> word_;
  void lock() {
    while (word_.exchange(1, std::memory_order_acquire) != 0) P::pause();
  }
  bool try_lock() { return word_.exchange(1, std::memory_order_acquire) == 0; }
  void unlock() { word_.store(0, std::memory_order_release); }
};

struct TwoPermits {
  static constexpr char kind[] = "semaphore";
  static constexpr unsigned capacity = 2;
  static constexpr unsigned max_workers = 3;
  void lock() {}
  void unlock() {}
};

struct OnPath {
  static constexpr char kind[] = "file";
  explicit OnPath(const char*) {}
  void lock() {}
  void unlock() {}
};

TEST(SpecOf, ReadsTheOperationsOfTheStandardLocks) {
  const LockOps plain = spec_of<std::mutex>("m").real;
  EXPECT_TRUE(plain.acquire && plain.release && plain.try_acquire);
  EXPECT_FALSE(plain.acquire_until || plain.acquire_shared || plain.upgrade);
  const LockOps timed = spec_of<std::timed_mutex>("t").real;
  EXPECT_TRUE(timed.acquire_until);
  const LockOps shared = spec_of<std::shared_timed_mutex>("s").real;
  EXPECT_TRUE(shared.has_shared() && shared.try_acquire_shared && shared.acquire_shared_until);
}

/// Offers timed calls by how long alone.
struct ForSomeTime {
  std::chrono::nanoseconds asked{0};
  void lock() {}
  void unlock() {}
  bool try_lock_for(std::chrono::nanoseconds time) {
    asked = time;
    return false;
  }
  void lock_shared() {}
  void unlock_shared() {}
  bool try_lock_shared_for(std::chrono::nanoseconds time) {
    asked = time;
    return true;
  }
};

TEST(SpecOf, TimesMayBeGivenFromNow) {
  const LockOps ops = spec_of<ForSomeTime>("for").real;
  ASSERT_TRUE(ops.acquire_until && ops.acquire_shared_until);
  ForSomeTime lock;
  constexpr std::chrono::hours kTime{1};
  const std::int64_t deadline_ns =
      std::chrono::nanoseconds((RealPlatform::now() + kTime).time_since_epoch()).count();
  EXPECT_EQ(ops.acquire_until(&lock, deadline_ns), Outcome::kTimedOut);
  EXPECT_TRUE(lock.asked > kTime / 2 && lock.asked <= kTime);
  lock.asked = {};
  EXPECT_EQ(ops.acquire_shared_until(&lock, deadline_ns), Outcome::kAcquired);
  EXPECT_TRUE(lock.asked > kTime / 2 && lock.asked <= kTime);
}

TEST(SpecOf, ATemplateIsAvailableOnAllPlatforms) {
  const LockSpec spec = spec_of<TestAndSet>("tas");
  EXPECT_TRUE(spec.real.available() && spec.hooked.available() && spec.controlled.available());
  EXPECT_FALSE(spec_of<std::mutex>("m").controlled.available());
  TestAndSet<RealPlatform> lock{};
  EXPECT_EQ(spec.real.try_acquire(&lock), Outcome::kAcquired);
  EXPECT_EQ(spec.real.try_acquire(&lock), Outcome::kBusy);
  EXPECT_EQ(spec.real.release(&lock), Outcome::kReleased);
}

TEST(SpecOf, ReadsClaimsFromKind) {
  const LockSpec spec = spec_of<TwoPermits>("two");
  EXPECT_TRUE(spec.claims.semaphore);
  EXPECT_EQ(spec.claims.permits, 2u);
  EXPECT_EQ(spec.claims.releaser, Releaser::kAnyone);
  EXPECT_EQ(spec.claims.max_workers, 3u);
  EXPECT_EQ(spec_of<OnPath>("p").home, Home::kPath);
  EXPECT_EQ(path_spec_of<OnPath>("p").home, Home::kPath);
  Claims fifo;
  fifo.fairness = Fairness::kFifo;
  EXPECT_EQ(spec_of<std::mutex>("m", fifo).claims, fifo);
}

}  // namespace
}  // namespace hobbs
