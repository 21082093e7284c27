// The robust mutex under deaths of holders, waiters and recoverers, by SIGKILL.
#include "locks/reference/robust_mutex.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "locks/reference/testing.h"

namespace hobbs {
namespace {

using namespace std::chrono_literals;
using Mutex = RobustMutex<RealPlatform>;

struct Scene {
  Mutex mutex;
  std::atomic<std::uint32_t> told{0};
  std::atomic<std::uint32_t> held{0};
};

class RobustMutexTest : public ::testing::Test {
 protected:
  void SetUp() override { RealPlatform::attach(1); }

  /// A forked holder that dies by SIGKILL; reaped, unless `leave_zombie`.
  pid_t die_holding(std::uint32_t id, bool leave_zombie = false) {
    const pid_t child = testing::fork_worker(id, [&] {
      scene_->mutex.lock();
      ::raise(SIGKILL);
      return 0;
    });
    siginfo_t info;
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
    if (!leave_zombie) testing::wait_for(child);
    return child;
  }
  /// A forked waiter; exits with 0 if acquired plainly, 1 if told of a death, 2 if timed out.
  pid_t waiter(std::uint32_t id, std::chrono::milliseconds patience = 20s) {
    return testing::fork_worker(id, [this, patience] {
      const Outcome outcome = scene_->mutex.try_lock_until(RealPlatform::now() + patience);
      if (!holds(outcome)) return 2;
      scene_->mutex.unlock();
      return outcome == Outcome::kOwnerDied ? 1 : 0;
    });
  }

  testing::Shared<Scene> scene_;
};

TEST_F(RobustMutexTest, TheNextAcquirerOfEachVerbIsToldOnce) {
  die_holding(2);
  EXPECT_EQ(scene_->mutex.lock(), Outcome::kOwnerDied);
  EXPECT_EQ(scene_->mutex.unlock(), Outcome::kReleased);
  EXPECT_EQ(scene_->mutex.lock(), Outcome::kAcquired) << "told once";
  scene_->mutex.unlock();
  die_holding(2);
  EXPECT_EQ(scene_->mutex.try_lock(), Outcome::kOwnerDied);
  scene_->mutex.unlock();
  die_holding(2);
  EXPECT_EQ(scene_->mutex.try_lock_until(RealPlatform::now() - 1s), Outcome::kOwnerDied);
  scene_->mutex.unlock();
  EXPECT_EQ(scene_->mutex.try_lock(), Outcome::kAcquired);
}

TEST_F(RobustMutexTest, AZombieIsDead) {
  const pid_t zombie = die_holding(2, true);
  EXPECT_EQ(scene_->mutex.try_lock(), Outcome::kOwnerDied);
  testing::wait_for(zombie);
}

TEST_F(RobustMutexTest, AThreadThatEndsHoldingIsADeadOwner) {
  std::thread([this] {
    RealPlatform::attach(2);
    scene_->mutex.lock();
  }).join();
  EXPECT_EQ(scene_->mutex.lock(), Outcome::kOwnerDied);
}

TEST_F(RobustMutexTest, SleepingWaitersRecoverAndExactlyOneIsTold) {
  const pid_t holder = testing::fork_worker(2, [&] {
    scene_->mutex.lock();
    scene_->held = 1;
    for (;;) ::pause();
    return 0;
  });
  while (scene_->held == 0) RealPlatform::yield();
  const pid_t waiters[] = {waiter(3), waiter(4), waiter(5)};
  for (const pid_t child : waiters) EXPECT_TRUE(testing::until_asleep(child));
  ::kill(holder, SIGKILL);
  testing::wait_for(holder);
  int told = 0;
  for (const pid_t child : waiters) {
    const int code = testing::wait_for(child);
    EXPECT_TRUE(code == 0 || code == 1);
    told += code == 1;
  }
  EXPECT_EQ(told, 1);
}

TEST_F(RobustMutexTest, ADeadRecovererIsADeadOwner) {
  die_holding(2);
  die_holding(3);  // It was told, and died before it could repair anything.
  EXPECT_EQ(scene_->mutex.lock(), Outcome::kOwnerDied);
}

TEST_F(RobustMutexTest, AWokenWaiterThatDiesDoesNotTakeTheWakeWithIt) {
  for (int round = 0; round < 10; ++round) {
    ASSERT_EQ(scene_->mutex.lock(), Outcome::kAcquired);
    const pid_t victim = waiter(2), survivor = waiter(3);
    EXPECT_TRUE(testing::until_asleep(victim) && testing::until_asleep(survivor));
    ::kill(victim, SIGSTOP);  // Woken, it cannot run.
    scene_->mutex.unlock();
    ::kill(victim, SIGKILL);
    testing::wait_for(victim);
    EXPECT_EQ(testing::wait_for(survivor), 0);
  }
  const Mutex fresh{};
  EXPECT_EQ(std::memcmp(&scene_->mutex, &fresh, sizeof fresh), 0);
}

/// A killed process that nobody has reaped yet does not live; kill(2) takes it for alive.
bool lives(pid_t pid) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return false;
  pollfd ended{fd, POLLIN, 0};
  const bool lives = ::poll(&ended, 1, 0) == 0;
  ::close(fd);
  return lives;
}

TEST_F(RobustMutexTest, RandomDeathsNeverLeadToTwoHolders) {
  testing::Shared<testing::Witness> witness;
  testing::Shared<std::atomic<pid_t>> inside;
  std::uint32_t id = 2;
  for (int round = 0; round < 20; ++round) {
    std::vector<pid_t> children;
    for (int i = 0; i < 3; ++i, id = id == 60 ? 2 : id + 1) {
      children.push_back(testing::fork_worker(id, [&] {
        for (;;) {
          if (scene_->mutex.lock() == Outcome::kOwnerDied) ++scene_->told;
          pid_t nobody = 0;
          // Whoever was inside has died: then, and only then, may another pid still stand there.
          if (!inside->compare_exchange_strong(nobody, ::getpid()) && lives(nobody)) return 1;
          *inside = ::getpid();
          *inside = 0;
          scene_->mutex.unlock();
          ++scene_->held;
        }
      }));
    }
    const std::uint32_t before = scene_->held;
    while (scene_->held < before + 50) RealPlatform::yield();
    for (const pid_t child : children) {
      ::kill(child, SIGKILL);
      EXPECT_EQ(testing::wait_for(child), -1) << "two holders";
    }
    EXPECT_TRUE(holds(scene_->mutex.lock()));
    scene_->mutex.unlock();
    *inside = 0;
  }
}

TEST_F(RobustMutexTest, RefusesMisuse) {
  EXPECT_EQ(scene_->mutex.unlock(), Outcome::kNotLocked);
  scene_->mutex.lock();
  EXPECT_THROW(scene_->mutex.lock(), std::system_error);
  EXPECT_FALSE(scene_->mutex.try_lock());
  RealPlatform::attach(2);
  EXPECT_EQ(scene_->mutex.unlock(), Outcome::kNotOwner);
  RealPlatform::attach(1);
  EXPECT_EQ(scene_->mutex.unlock(), Outcome::kReleased);
}

}  // namespace
}  // namespace hobbs
