// Semaphores, the re-entrant mutex, the sequence lock's readers, and the standard guards.
#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "locks/reference/counting_semaphore.h"
#include "locks/reference/futex_mutex.h"
#include "locks/reference/handoff_mutex.h"
#include "locks/reference/reentrant_mutex.h"
#include "locks/reference/robust_mutex.h"
#include "locks/reference/seq_lock.h"
#include "locks/reference/test_and_test_and_set_lock.h"
#include "locks/reference/testing.h"

namespace hobbs {
namespace {

using namespace std::chrono_literals;

TEST(CountingSemaphore, AdmitsAsManyAsThereArePermitsAndThatMany) {
  struct Scene {
    CountingSemaphore<RealPlatform, 3> semaphore;
    std::atomic<std::uint32_t> inside{0}, most{0};
  };
  testing::Shared<Scene> scene;
  const int bad = testing::run_workers(5, [&](std::uint32_t id) {
    for (std::uint32_t round = 0; round < 3000 || scene->most < 3; ++round) {
      const bool got = round % 4 == 0 ? scene->semaphore.try_lock()
                       : round % 4 == 1
                           ? scene->semaphore.try_lock_for(std::chrono::microseconds(id))
                           : (scene->semaphore.lock(), true);
      if (!got) continue;
      const std::uint32_t now = ++scene->inside;
      for (std::uint32_t most = scene->most; now > most;) {
        if (scene->most.compare_exchange_weak(most, now)) break;
      }
      if (round % 16 == 0) RealPlatform::yield();
      --scene->inside;
      if (scene->semaphore.unlock() != Outcome::kReleased) return 1;
    }
    return 0;
  });
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(scene->most, 3u);
}

TEST(CountingSemaphore, CountsReleasesAboveItsPermits) {
  PairSemaphore<RealPlatform> semaphore;
  EXPECT_EQ(semaphore.unlock(), Outcome::kReleased);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(semaphore.try_lock());
  EXPECT_FALSE(semaphore.try_lock());
  EXPECT_FALSE(semaphore.try_lock_for(1ms));
}

TEST(CountingSemaphore, RefusesAReleaseThatItCannotCount) {
  PairSemaphore<RealPlatform> semaphore;
  int released = 0;
  while (semaphore.unlock() == Outcome::kReleased) ++released;
  EXPECT_EQ(released, 1 << 23);
  EXPECT_EQ(semaphore.unlock(), Outcome::kOverRelease);
  EXPECT_TRUE(semaphore.try_lock());
  EXPECT_EQ(semaphore.unlock(), Outcome::kReleased);
}

TEST(CountingSemaphore, TwoReleasesWakeTwo) {
  testing::Shared<PairSemaphore<RealPlatform>> semaphore;
  semaphore->lock();
  semaphore->lock();
  const auto body = [&] {
    semaphore->lock();
    return 0;
  };
  const pid_t first = testing::fork_worker(2, body), second = testing::fork_worker(3, body);
  EXPECT_TRUE(testing::until_asleep(first) && testing::until_asleep(second));
  semaphore->unlock();
  semaphore->unlock();
  EXPECT_EQ(testing::wait_for(first) + testing::wait_for(second), 0);
  EXPECT_FALSE(semaphore->try_lock());
}

TEST(ReentrantMutex, IsFreeAfterAsManyReleasesByItsOwnerOnly) {
  RealPlatform::attach(1);
  testing::Shared<ReentrantMutex<RealPlatform>> mutex;
  const auto others_try = [&] {
    return testing::wait_for(testing::fork_worker(2, [&] {
      if (mutex->unlock() == Outcome::kReleased) return 2;
      if (!mutex->try_lock()) return 1;
      mutex->unlock();
      return 0;
    }));
  };
  EXPECT_EQ(others_try(), 0);
  mutex->lock();
  EXPECT_TRUE(mutex->try_lock());
  EXPECT_TRUE(mutex->try_lock_for(1s));
  for (int depth = 3; depth > 0; --depth) {
    EXPECT_EQ(others_try(), 1);
    EXPECT_EQ(mutex->unlock(), Outcome::kReleased);
  }
  EXPECT_EQ(others_try(), 0);
  EXPECT_EQ(mutex->unlock(), Outcome::kNotLocked);
}

TEST(SeqLock, AValidReadIsNeverTorn) {
  struct Scene {
    SeqLock<RealPlatform> lock;
    std::atomic<std::uint64_t> words[4]{};
    std::atomic<bool> done{false};
  };
  testing::Shared<Scene> scene;
  using Lock = SeqLock<RealPlatform>;
  const int bad = testing::run_workers(4, [&](std::uint32_t id) {
    if (id <= 2) {  // Writers.
      for (int round = 0; round < 20'000; ++round) {
        scene->lock.lock();
        const std::uint64_t next = Lock::get(scene->words[0]) + 1;
        for (auto& word : scene->words) Lock::put(word, next);
        scene->lock.unlock();
      }
      scene->done = true;
      return 0;
    }
    std::uint64_t last = 0;
    do {
      const bool whole = scene->lock.read([&] {
        const std::uint64_t first = Lock::get(scene->words[0]);
        bool same = first >= last;
        for (auto& word : scene->words) same &= Lock::get(word) == first;
        last = same ? first : last;
        return same;
      });
      if (!whole) return 1;
    } while (!scene->done);
    return 0;
  });
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(scene->words[3], 40'000u);
}

TEST(SeqLock, AReadDuringAWriteIsNotValid) {
  SeqLock<RealPlatform> lock;
  const std::uint32_t begin = lock.read_begin();
  EXPECT_TRUE(lock.read_is_valid(begin));
  lock.lock();
  EXPECT_FALSE(lock.read_is_valid(begin));
  lock.unlock();
  EXPECT_FALSE(lock.read_is_valid(begin));
  EXPECT_TRUE(lock.read_is_valid(lock.read_begin()));
}

template <class L>
class TimedLock : public ::testing::Test {};
using TimedLocks = ::testing::Types<TestAndTestAndSetLock<RealPlatform>, FutexMutex<RealPlatform>,
                                    HandoffMutex<RealPlatform>, RobustMutex<RealPlatform>,
                                    ReentrantMutex<RealPlatform>, BinarySemaphore<RealPlatform>>;
TYPED_TEST_SUITE(TimedLock, TimedLocks);

TYPED_TEST(TimedLock, ServesTheStandardGuardsInBothOrders) {
  TypeParam a, b;
  std::uint64_t sum = 0;
  const auto work = [&](std::uint32_t id, TypeParam& first, TypeParam& second) {
    RealPlatform::attach(id);
    for (int round = 0; round < 500; ++round) {
      std::scoped_lock both(first, second);
      ++sum;
    }
  };
  std::thread one([&] { work(1, a, b); }), two([&] { work(2, b, a); });
  one.join();
  two.join();
  EXPECT_EQ(sum, 1000u);
}

TYPED_TEST(TimedLock, TimesOutByAnyClockAndNeverEarly) {
  TypeParam mutex;
  RealPlatform::attach(1);
  std::unique_lock held(mutex);
  std::thread([&] {
    RealPlatform::attach(2);
    const auto steady = std::chrono::steady_clock::now() + 5ms;
    EXPECT_FALSE(std::unique_lock(mutex, steady).owns_lock());
    EXPECT_GE(std::chrono::steady_clock::now(), steady);
    const auto system = std::chrono::system_clock::now() + 5ms;
    EXPECT_FALSE(std::unique_lock(mutex, system).owns_lock());
    EXPECT_GE(std::chrono::system_clock::now(), system);
    EXPECT_FALSE(std::unique_lock(mutex, -1h).owns_lock());
  }).join();
  held.unlock();
  EXPECT_TRUE(std::unique_lock(mutex, std::chrono::hours::max()).owns_lock());
}

TEST(Deadlines, AreRoundedUpAndStopAtTheEndOfTime) {
  using Time = RealPlatform::time_point;
  EXPECT_EQ(deadline_after<RealPlatform>(std::chrono::hours::max()), Time::max());
  EXPECT_EQ(deadline_after<RealPlatform>(std::chrono::duration<double>(1e300)), Time::max());
  const Time before = RealPlatform::now();
  EXPECT_GE(deadline_after<RealPlatform>(std::chrono::duration<double, std::nano>(0.5)),
            before + 1ns);
  const Time at_once = deadline_after<RealPlatform>(-std::chrono::hours::max());
  EXPECT_LE(at_once, RealPlatform::now());
}

}  // namespace
}  // namespace hobbs
