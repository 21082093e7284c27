// The locks of multiprocessing: the semaphore they share with C, names, ownership, timeouts.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

#include "locks/reference/testing.h"
#include "locks/seeds/process_lock.h"
#include "locks/seeds/process_reentrant_lock.h"
#include "locks/seeds/process_semaphore.h"

namespace hobbs {
namespace {

using namespace std::chrono_literals;
using Word = SemaphoreWord<RealPlatform>;
using Lock = ProcessLock<RealPlatform>;
using ReentrantLock = ProcessReentrantLock<RealPlatform>;
using testing::clone_worker;
using testing::in_thread;
using testing::refusal;
using testing::Shared;

sem_t* as_sem(Word& word) { return reinterpret_cast<sem_t*>(&word); }

TEST(SemaphoreWord, IsASemaphoreOfTheCLibrary) {
  Shared<Word> word(2u);
  int value = 0;
  EXPECT_EQ(::sem_getvalue(as_sem(*word), &value), 0);
  EXPECT_EQ(value, 2);
  EXPECT_EQ(::sem_trywait(as_sem(*word)), 0);
  EXPECT_TRUE(word->take(Patience::none()));
  EXPECT_FALSE(word->take(Patience::none()));
  EXPECT_EQ(::sem_trywait(as_sem(*word)), -1);
  EXPECT_EQ(::sem_post(as_sem(*word)), 0);
  EXPECT_EQ(word->value(), 1u);
}

TEST(SemaphoreWord, WakesTheCLibrarysWaitersAndIsWokenByIt) {
  Shared<Word> ours(0u), theirs(0u);
  const pid_t child = testing::fork_worker(2, [&] {
    if (::sem_wait(as_sem(*ours)) != 0) return 1;
    return ::sem_post(as_sem(*theirs)) == 0 ? 0 : 2;
  });
  ASSERT_TRUE(testing::until_asleep(child));
  EXPECT_TRUE(ours->give(1));
  EXPECT_TRUE(theirs->take(Patience::until(RealPlatform::now() + 30s)));
  EXPECT_EQ(testing::wait_for(child), 0);

  const pid_t waiter =
      testing::fork_worker(2, [&] { return ours->take(Patience::forever()) ? 0 : 1; });
  ASSERT_TRUE(testing::until_asleep(waiter));
  EXPECT_EQ(::sem_post(as_sem(*ours)), 0);
  EXPECT_EQ(testing::wait_for(waiter), 0);
}

TEST(SemaphoreWord, ExcludesTogetherWithTheCLibrary) {
  Shared<Word> word(1u);
  Shared<testing::Witness> witness;
  const int bad = testing::run_workers(4, [&](std::uint32_t id) {
    for (int round = 0; round < 3000; ++round) {
      if (id % 2 == 0) {
        word->take(Patience::forever());
      } else if (::sem_wait(as_sem(*word)) != 0) {
        return 1;
      }
      witness->enter(Mode::kExclusive);
      if (round % 32 == 0) RealPlatform::yield();
      witness->leave(Mode::kExclusive);
      if (id < 3) {
        word->give(1);
      } else {
        ::sem_post(as_sem(*word));
      }
    }
    return 0;
  });
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(witness->violations(), 0u);
  EXPECT_EQ(witness->sum(), 12000u);
}

TEST(ProcessLock, IsReleasedByAnyProcessAndOnlyWhenLocked) {
  Shared<Lock> lock;
  EXPECT_EQ(refusal([&] { lock->release(); }), LockErrorKind::kOverRelease);
  EXPECT_TRUE(lock->acquire());
  EXPECT_FALSE(lock->acquire(false));
  EXPECT_EQ(testing::wait_for(testing::fork_worker(2, [&] { return lock->release(), 0; })), 0);
  EXPECT_FALSE(lock->locked());
  EXPECT_EQ(refusal([&] { lock->release(); }), LockErrorKind::kOverRelease);
}

TEST(ProcessLock, OfReleasesAtOnceOneSucceeds) {
  Shared<Lock> lock;
  Shared<std::atomic<std::uint32_t>> arrived, released;
  constexpr std::uint32_t kRounds = 200, kWorkers = 3;
  const int bad = testing::run_workers(kWorkers, [&](std::uint32_t id) {
    std::uint32_t target = 0;
    const auto meet = [&] {
      target += kWorkers;
      arrived->fetch_add(1);
      while (arrived->load() < target) RealPlatform::yield();
    };
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      if (id == 1 && !lock->acquire(false)) return 1;
      meet();
      if (!refusal([&] { lock->release(); })) released->fetch_add(1);
      meet();
    }
    return 0;
  });
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(released->load(), kRounds);
}

TEST(ProcessLock, TreatsTimeoutsAsDocumented) {
  Lock lock;
  ASSERT_TRUE(lock.acquire(true, Seconds(0))) << "free";
  const double infinity = std::numeric_limits<double>::infinity();
  const auto start = RealPlatform::now();
  for (const double seconds : {0.0, -1.0, -infinity}) {
    EXPECT_FALSE(lock.acquire(true, Seconds(seconds)));
  }
  EXPECT_FALSE(lock.acquire(false, Seconds(1000)));
  EXPECT_FALSE(lock.acquire(false, Seconds(std::nan("")))) << "ignored";
  EXPECT_LT(RealPlatform::now() - start, 500s) << "tries do not wait";
  EXPECT_EQ(refusal([&] { lock.acquire(true, Seconds(std::nan(""))); }),
            LockErrorKind::kBadArgument);
  const auto timed = RealPlatform::now();
  EXPECT_FALSE(lock.acquire(true, Seconds(0.02)));
  EXPECT_GE(RealPlatform::now() - timed, 20ms);
}

TEST(ProcessLock, WorksWithTheStandardsGuards) {
  Lock first;
  ReentrantLock second;
  {
    const std::scoped_lock both(first, second);
    EXPECT_TRUE(first.locked() && second.is_mine());
    EXPECT_FALSE((std::unique_lock<Lock>(first, 1ms).owns_lock()));
  }
  std::unique_lock<Lock> guard(first, std::try_to_lock);
  EXPECT_TRUE(guard.owns_lock());
}

bool alarm_struck() { return true; }

TEST(ProcessLock, ASignalEndsAWaitOnlyWhereThatIsAskedForAndLeavesNoTrace) {
  Shared<Lock> lock;
  lock->acquire();
  const pid_t child = testing::fork_worker(2, [&] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    interrupt_check = [] { return false; };
    if (lock->acquire(true, Seconds(0.05))) return 1;
    interrupt_check = alarm_struck;
    const auto refused = refusal([&] { lock->acquire(); });
    return refused == LockErrorKind::kInterrupted ? 0 : 2;
  });
  EXPECT_EQ(testing::wait_for(child), 0);
  lock->release();
  const Lock fresh;
  EXPECT_EQ(
      std::memcmp(static_cast<const void*>(&*lock), static_cast<const void*>(&fresh), sizeof fresh),
      0);
}

TEST(NamedSemaphore, IsOneLockForAllWhoOpenTheName) {
  std::string name;
  {
    NamedProcessLock made(NamedSemaphore::create_unique(1));
    NamedSemaphore named = NamedSemaphore::create_unique(1);
    name = named.name();
    EXPECT_EQ(name.substr(0, 4), "/mp-");
    NamedProcessLock lock(std::move(named)), other(NamedSemaphore::open(name));
    EXPECT_TRUE(lock.acquire());
    EXPECT_FALSE(other.acquire(false));
    EXPECT_TRUE(made.acquire(false)) << "another name, another lock";
    // A child drops its views without removing the name.
    EXPECT_EQ(
        testing::wait_for(testing::fork_worker(2,
                                               [&] {
                                                 lock.~BasicProcessLock();
                                                 return NamedSemaphore::open(name).value() == 0 ? 0
                                                                                                : 1;
                                               })),
        0);
    other.release();
    EXPECT_FALSE(lock.locked());
    try {
      NamedSemaphore::create(name, 1);
      ADD_FAILURE() << "made twice";
    } catch (const LockError& error) {
      EXPECT_EQ(error.code().value(), EEXIST);
    }
  }
  try {
    NamedSemaphore::open(name);
    ADD_FAILURE() << "the name outlived its maker's view";
  } catch (const LockError& error) {
    EXPECT_EQ(error.code().value(), ENOENT);
  }
}

TEST(ProcessReentrantLock, IsOwnedByOneThreadOfOneProcess) {
  Shared<ReentrantLock> lock;
  EXPECT_EQ(refusal([&] { lock->release(); }), LockErrorKind::kNotOwner);
  for (int level = 0; level < 3; ++level) EXPECT_TRUE(lock->acquire(level != 1));
  EXPECT_EQ(lock->depth(), 3u);
  const auto stranger = [&] {
    if (lock->acquire(false) || lock->is_mine() || lock->depth() != 0) return 1;
    return refusal([&] { lock->release(); }) == LockErrorKind::kNotOwner ? 0 : 2;
  };
  EXPECT_EQ(in_thread(stranger), 0);
  EXPECT_EQ(testing::wait_for(testing::fork_worker(2, stranger)), 0);
  EXPECT_EQ(testing::wait_for(clone_worker(stranger)), 0);
  for (int level = 0; level < 3; ++level) lock->release();
  EXPECT_EQ(testing::wait_for(testing::fork_worker(2,
                                                   [&] {
                                                     if (!lock->acquire(false)) return 1;
                                                     lock->release();
                                                     return 0;
                                                   })),
            0);
}

TEST(ProcessReentrantLock, ByNameKeepsItsDepthInEachView) {
  NamedSemaphore semaphore = NamedSemaphore::create_unique(1);
  const std::string name = semaphore.name();
  NamedProcessReentrantLock mine(std::move(semaphore)), other(NamedSemaphore::open(name));
  EXPECT_TRUE(mine.acquire() && mine.acquire());
  EXPECT_FALSE(other.acquire(false));
  mine.release();
  EXPECT_FALSE(other.acquire(false));
  mine.release();
  EXPECT_TRUE(other.acquire(false));
  EXPECT_EQ(refusal([&] { mine.release(); }), LockErrorKind::kNotOwner);
}

TEST(ProcessSemaphore, CountsAboveItsFirstValueUnlessBounded) {
  ProcessSemaphore<RealPlatform> counting(2), bounded(2, Bound::kFirstValue);
  EXPECT_EQ(refusal([&] { bounded.release(); }), LockErrorKind::kOverRelease);
  counting.release();
  EXPECT_EQ(counting.value(), 3u);
  EXPECT_TRUE(bounded.acquire());
  bounded.release();
  EXPECT_EQ(bounded.value(), 2u);
  ProcessSemaphore<RealPlatform> full(Word::kValueMax);
  EXPECT_EQ(refusal([&] { full.release(); }), LockErrorKind::kOverRelease);
  EXPECT_EQ(refusal([] { ProcessSemaphore<RealPlatform> too_large(1u << 31); }),
            LockErrorKind::kOperatingSystem);
}

}  // namespace
}  // namespace hobbs
