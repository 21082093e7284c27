// The hand-off mutex: order, and leaving the queue at each place in it.
#include "locks/reference/handoff_mutex.h"

#include <gtest/gtest.h>

#include <mutex>

#include "locks/reference/testing.h"

namespace hobbs {
namespace {

using namespace std::chrono_literals;
using Mutex = HandoffMutex<RealPlatform>;

struct Scene {
  Mutex mutex;
  std::atomic<std::uint32_t> served{0};
  std::atomic<std::uint32_t> place[8]{};  // By worker id: when it was served, from 1; 0: never.
};

/// A forked waiter that has parked before this returns.
pid_t queue_up(Scene& scene, std::uint32_t id, std::chrono::milliseconds patience) {
  const pid_t child = testing::fork_worker(id, [&scene, id, patience] {
    if (!scene.mutex.try_lock_for(patience)) return 1;
    scene.place[id] = ++scene.served;
    scene.mutex.unlock();
    return 0;
  });
  EXPECT_TRUE(testing::until_asleep(child));
  return child;
}

TEST(HandoffMutex, ServesInTheOrderOfArrivalThoughAllArePast) {
  RealPlatform::attach(1);
  testing::Shared<Scene> scene;
  scene->mutex.lock();
  const pid_t children[] = {queue_up(*scene, 3, 10s), queue_up(*scene, 5, 10s),
                            queue_up(*scene, 2, 10s), queue_up(*scene, 4, 10s)};
  EXPECT_FALSE(scene->mutex.try_lock()) << "held";
  scene->mutex.unlock();
  for (const pid_t child : children) EXPECT_EQ(testing::wait_for(child), 0);
  EXPECT_EQ(scene->place[3], 1u);
  EXPECT_EQ(scene->place[5], 2u);
  EXPECT_EQ(scene->place[2], 3u);
  EXPECT_EQ(scene->place[4], 4u);
}

/// Three waiters, of which the one at `leaver` (0: first) gives up while the lock is held.
void leave_at(int leaver) {
  RealPlatform::attach(1);
  testing::Shared<Scene> scene;
  scene->mutex.lock();
  pid_t children[3];
  for (int i = 0; i < 3; ++i) {
    children[i] =
        queue_up(*scene, static_cast<std::uint32_t>(i) + 2, i == leaver ? 500ms : 10'000ms);
  }
  EXPECT_EQ(testing::wait_for(children[leaver]), 1) << "gave up";
  scene->mutex.unlock();
  std::uint32_t expected = 0;
  for (int i = 0; i < 3; ++i) {
    if (i == leaver) continue;
    EXPECT_EQ(testing::wait_for(children[i]), 0);
    EXPECT_EQ(scene->place[i + 2], ++expected);
  }
  EXPECT_TRUE(scene->mutex.try_lock()) << "free";
}

TEST(HandoffMutex, TheFirstWaiterMayLeave) { leave_at(0); }
TEST(HandoffMutex, AWaiterInTheMiddleMayLeave) { leave_at(1); }
TEST(HandoffMutex, TheLastWaiterMayLeave) { leave_at(2); }

TEST(HandoffMutex, AllMayLeaveAtOnceAndComeBack) {
  testing::Shared<Scene> scene;
  const int bad = testing::run_workers(4, [&](std::uint32_t id) {
    for (int round = 0; round < 400; ++round) {
      const auto patience = std::chrono::microseconds(id * 17 * (round % 8));
      if (!scene->mutex.try_lock_for(patience)) continue;
      ++scene->served;
      if (round % 4 == 0) std::this_thread::yield();
      scene->mutex.unlock();
    }
    scene->mutex.lock();
    ++scene->place[id];
    scene->mutex.unlock();
    return 0;
  });
  EXPECT_EQ(bad, 0);
  EXPECT_GT(scene->served, 0u);
  const Mutex fresh{};
  EXPECT_EQ(std::memcmp(&scene->mutex, &fresh, sizeof fresh), 0) << "no trace of any waiter";
}

}  // namespace
}  // namespace hobbs
