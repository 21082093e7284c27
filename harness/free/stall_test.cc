// A gang that cannot go on is told from one that only has no processor.
#include "harness/free/stall.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "harness/free/patience.h"

namespace hobbs::gang {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{10};
constexpr int kLooksInVain = 100;     // Many more than a verdict takes.
constexpr int kLooksForEver = 6'000;  // A minute.

/// Two workers: one that waits for others by the harness, and one asleep in a call of a semaphore.
class StallTest : public testing::Test {
 protected:
  StallTest() : arena_(LockOps{.size = 8, .align = 8}, 1, 2), watch_(*arena_, lock_) {
    lock_.claims.semaphore = true;
    lock_.claims.permits = 2;
    lock_.real.size = 8;
    arena_->workers.store(2);
  }
  ~StallTest() override {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }

  template <class Body>
  pid_t begin(std::size_t slot, Stage stage, Body body) {
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;) body();
    }
    children_.push_back(child);
    arena_->slots[slot].id.store(static_cast<std::uint32_t>(slot + 1));
    arena_->slots[slot].process.store(child);
    arena_->slots[slot].thread.store(child);
    arena_->slots[slot].deadline_ns.store(INT64_MAX);
    arena_->slots[slot].stage.store(stage);
    return child;
  }
  pid_t begin_poller(Stage stage) {
    return begin(0, stage, [this] { wait_until([this] { return arena_->met.load() != 0; }); });
  }
  static void sleep_for_good() {
    std::uint32_t word = 0;
    syscall(SYS_futex, &word, FUTEX_WAIT, 0, nullptr, nullptr, 0);
  }
  void begin_sleeper() {
    arena_->slots[1].verb.store(static_cast<std::uint8_t>(Verb::kAcquire));
    begin(1, Stage::kCalling, sleep_for_good);
  }
  std::optional<Breach> look(int times) {
    for (int i = 0; i < times; ++i) {
      if (std::optional<Breach> breach = watch_.look(children_)) return breach;
      std::this_thread::sleep_for(kLookEvery);  // tidy: between two looks.
    }
    return std::nullopt;
  }

  LockSpec lock_;
  SharedArena arena_;
  StallWatch watch_;
  std::vector<pid_t> children_;
};

TEST_F(StallTest, WhoMeetsInVainWhileAnotherSleepsIsStuck) {
  begin_poller(Stage::kMeeting);
  begin_sleeper();
  const std::optional<Breach> breach = look(kLooksForEver);
  ASSERT_TRUE(breach);
  EXPECT_EQ(breach->rule, "LV-1") << breach->summary;
}

TEST_F(StallTest, WhoWaitsAsleepForAnotherSleeperIsStuck) {
  begin(0, Stage::kWaiting, sleep_for_good);  // As a parent until its child ends.
  begin_sleeper();
  EXPECT_TRUE(look(kLooksForEver));
}

class Starved : public StallTest, public testing::WithParamInterface<Stage> {};

/// Stopped, it stands for a worker that the machine gives no processor.
TEST_P(Starved, MayFindOpenWhatItWaitsFor) {
  const pid_t poller = begin_poller(GetParam());
  begin_sleeper();
  kill(poller, SIGSTOP);
  waitpid(poller, nullptr, WUNTRACED);
  EXPECT_FALSE(look(kLooksInVain));
  kill(poller, SIGCONT);
  EXPECT_TRUE(look(kLooksForEver));
}

INSTANTIATE_TEST_SUITE_P(Stall, Starved, testing::Values(Stage::kMeeting, Stage::kWaiting));

}  // namespace
}  // namespace hobbs::gang
