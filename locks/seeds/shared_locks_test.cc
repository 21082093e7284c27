// The shared locks of multiprocessing_utils and its local storage: holds, modes, forks, timeouts.
#include <gtest/gtest.h>

#include "locks/reference/testing.h"
#include "locks/seeds/process_local.h"
#include "locks/seeds/shared_lock.h"

namespace hobbs {
namespace {

using namespace std::chrono_literals;
using Lock = SharedLock<RealPlatform>;
using ReentrantLock = SharedReentrantLock<RealPlatform>;
using testing::clone_worker;
using testing::fork_worker;
using testing::in_thread;
using testing::refusal;
using testing::Shared;
using testing::wait_for;

TEST(SharedLock, IsHeldByOneThreadOfOneProcessInOneMode) {
  Shared<Lock> lock;
  EXPECT_EQ(refusal([&] { lock->release(); }), LockErrorKind::kOverRelease);
  lock->acquire();
  EXPECT_EQ(refusal([&] { lock->acquire(); }), LockErrorKind::kReentryRefused);
  EXPECT_EQ(refusal([&] { lock->acquire(true); }), LockErrorKind::kUpgradeRefused);
  EXPECT_EQ(refusal([&] { lock->unlock(); }), LockErrorKind::kNotOwner);
  const auto stranger = [&] {
    if (refusal([&] { lock->release(); }) != LockErrorKind::kOverRelease) return 1;
    if (lock->depth() != 0 || lock->try_acquire(true)) return 2;
    if (!lock->try_acquire()) return 3;
    lock->release();
    return 0;
  };
  EXPECT_EQ(in_thread(stranger), 0);
  EXPECT_EQ(wait_for(fork_worker(2, stranger)), 0);
  EXPECT_EQ(wait_for(clone_worker(stranger)), 0);
  EXPECT_EQ(lock->holders(), 1u);
  lock->release();
  EXPECT_EQ(lock->holders(), 0u);
}

TEST(SharedLock, AnExclusiveHoldKeepsEverybodyOut) {
  Shared<Lock> lock;
  const auto held = lock->exclusive();
  EXPECT_TRUE(lock->holds_exclusively());
  const auto stranger = [&] {
    if (lock->try_acquire() || lock->try_acquire(true)) return 1;
    const auto start = RealPlatform::now();
    if (lock->acquire_for(Seconds(0.02)) || lock->acquire_for(Seconds(0.02), true)) return 2;
    if (RealPlatform::now() - start < 40ms) return 3;
    return lock->acquire_for(Seconds(-1)) ? 4 : 0;
  };
  EXPECT_EQ(in_thread(stranger), 0);
  EXPECT_EQ(wait_for(fork_worker(2, stranger)), 0);
  EXPECT_EQ(wait_for(clone_worker(stranger)), 0);
}

TEST(SharedLock, ReleaseNeverWaitsAndAWaitingWriterGoesFirst) {
  Shared<Lock> lock;
  lock->acquire();
  const pid_t writer = fork_worker(2, [&] {
    lock->acquire(true);
    lock->release();
    return 0;
  });
  ASSERT_TRUE(testing::until_asleep(writer));
  EXPECT_FALSE(in_thread([&] { return lock->try_acquire(); })) << "behind the writer";
  lock->release();
  EXPECT_EQ(wait_for(writer), 0);
  lock->acquire();
  lock->release();
}

TEST(SharedLock, AnInterruptedAcquireLeavesNothingBehind) {
  Shared<Lock> lock;
  const auto held = lock->shared();
  EXPECT_EQ(wait_for(fork_worker(2,
                                 [&] {
                                   interrupt_check = [] { return true; };
                                   const auto refused = refusal([&] { lock->acquire(true); });
                                   if (refused != LockErrorKind::kInterrupted) return 1;
                                   return lock->depth() == 0 && lock->try_acquire() ? 0 : 2;
                                 })),
            0);
}

TEST(SharedReentrantLock, CountsLevelsAndKeepsItsMode) {
  Shared<ReentrantLock> lock;
  const auto someone_reads = [&] {
    return in_thread([&] {
      const bool got = lock->try_acquire();
      if (got) lock->release();
      return got;
    });
  };
  lock->acquire();
  lock->acquire();
  EXPECT_EQ(refusal([&] { lock->acquire(true); }), LockErrorKind::kUpgradeRefused);
  EXPECT_EQ(lock->depth(), 2u);
  EXPECT_TRUE(someone_reads());
  lock->release();
  lock->release();
  EXPECT_EQ(refusal([&] { lock->release(); }), LockErrorKind::kOverRelease);
  {
    const auto outer = lock->exclusive();
    const auto inner = lock->shared();
    EXPECT_EQ(lock->depth(), 2u);
    EXPECT_TRUE(lock->holds_exclusively());
    EXPECT_FALSE(someone_reads());
  }
  EXPECT_TRUE(someone_reads());
}

TEST(SharedReentrantLock, ExcludesForkedWorkersInBothModes) {
  Shared<ReentrantLock> lock;
  Shared<testing::Witness> witness;
  const int bad = testing::run_workers(4, [&](std::uint32_t id) {
    for (std::uint32_t round = 0; round < 2000; ++round) {
      const bool exclusive = (round + id) % 4 == 0;
      const Mode mode = exclusive ? Mode::kExclusive : Mode::kShared;
      lock->acquire(exclusive);
      lock->acquire();
      witness->enter(mode);
      if (round % 16 == 0) RealPlatform::yield();
      witness->leave(mode);
      lock->release();
      lock->release();
    }
    return 0;
  });
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(witness->violations(), 0u);
  EXPECT_EQ(lock->holders(), 0u);
}

TEST(ProcessLocal, IsFreshInEachThreadAndEachChildHoweverForked) {
  ProcessLocal<std::string> local, other;
  EXPECT_EQ(local.get(), nullptr);
  local.set("parent");
  const auto is_fresh_and_stays = [&] {
    if (local.get() != nullptr) return 1;
    local.set("mine");
    if (in_thread([&] { return local.get() != nullptr; })) return 2;
    if (local.get() == nullptr || *local.get() != "mine") return 3;
    return other.get() == nullptr ? 0 : 4;
  };
  EXPECT_EQ(in_thread(is_fresh_and_stays), 0);
  EXPECT_EQ(wait_for(fork_worker(2, is_fresh_and_stays)), 0);
  EXPECT_EQ(wait_for(clone_worker(is_fresh_and_stays)), 0);
  ASSERT_NE(local.get(), nullptr);
  EXPECT_EQ(*local.get(), "parent");
  EXPECT_TRUE(local.erase());
  EXPECT_FALSE(local.erase());
}

TEST(ProcessLocal, AGrandchildIsFreshAndThreadsOfAChildKeepTheirs) {
  ProcessLocal<int> local;
  local.set(1);
  EXPECT_EQ(wait_for(clone_worker([&] {
              local.set(2);
              return wait_for(clone_worker([&] { return local.get() == nullptr ? 0 : 1; }));
            })),
            0);
  EXPECT_EQ(wait_for(fork_worker(2,
                                 [&] {
                                   std::atomic<int> step{0};
                                   int seen = 0;
                                   std::thread worker([&] {
                                     local.set(7);
                                     step.store(1);
                                     while (step.load() != 2) RealPlatform::yield();
                                     seen = local.get() == nullptr ? 0 : *local.get();
                                   });
                                   while (step.load() != 1) RealPlatform::yield();
                                   const bool fresh = local.get() == nullptr;
                                   step.store(2);
                                   worker.join();
                                   return fresh && seen == 7 ? 0 : 1;
                                 })),
            0);
}

TEST(ProcessLocal, DestroysAValueWithItsThreadAndForgetsAParents) {
  struct Counted {
    explicit Counted(int* count) : count(count) {}
    Counted(Counted&& other) : count(std::exchange(other.count, nullptr)) {}
    Counted& operator=(Counted&& other) {
      std::swap(count, other.count);
      return *this;
    }
    ~Counted() {
      if (count != nullptr) ++*count;
    }
    int* count;
  };
  int destroyed = 0;
  ProcessLocal<Counted> local;
  in_thread([&] {
    local.set(Counted(&destroyed));
    return 0;
  });
  EXPECT_EQ(destroyed, 1);
  local.set(Counted(&destroyed));
  EXPECT_EQ(wait_for(fork_worker(2,
                                 [&] {
                                   const bool fresh = local.get() == nullptr && !local.erase();
                                   return fresh && destroyed == 1 ? 0 : 1;
                                 })),
            0);
}

}  // namespace
}  // namespace hobbs
