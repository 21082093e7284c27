#include "harness/conform/evidence.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

namespace hobbs {
namespace {

/// A process of one thread that does the same again and again; gone with the object.
class Child {
 public:
  explicit Child(const std::function<void()>& again) : pid_(fork()) {
    while (pid_ == 0) again();
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

constexpr std::int64_t kSpinNs = 20'000'000;

void look(Watch& watch, const Child& child) {
  poll(nullptr, 0, 1);
  watch.look({child.pid()});
}

TEST(WatchTest, WhoComputesRestsOnceTakenForASpinner) {
  static volatile int counter = 0;
  const Child spinner([] { counter = counter + 1; });
  Watch strict;
  Watch patient(kSpinNs);
  while (patient.settled() < 6) {
    look(strict, spinner);
    look(patient, spinner);
    EXPECT_EQ(strict.settled(), 0);
    EXPECT_TRUE(patient.settled() == 0 || patient.story(spinner.pid(), 0).run_ns >= kSpinNs);
  }
}

TEST(WatchTest, WhoSleepsRests) {
  const Child sleeper([] { pause(); });
  Watch watch;
  while (watch.settled() < 6) look(watch, sleeper);
  EXPECT_EQ(watch.story(sleeper.pid(), 0).last.rest, Rest::kWaits);
  EXPECT_FALSE(watch.time_matters());
}

TEST(WatchTest, WhoSleepsAgainAndAgainWaitsForTime) {
  const Child poller([] { poll(nullptr, 0, 20); });
  Watch watch;
  while (watch.settled() < 6 || watch.story(poller.pid(), 0).turns < 3) look(watch, poller);
  EXPECT_TRUE(watch.time_matters());
}

TEST(WatchTest, AProcessIsAsRestlessAsItsThreads) {
  const Child both([] {
    std::thread poller([] {
      while (true) poll(nullptr, 0, 20);
    });
    poller.join();
  });
  Watch watch;
  while (watch.settled() < 6 || watch.story(both.pid(), 0).turns < 3) look(watch, both);
  EXPECT_EQ(watch.story(both.pid(), 0).last.rest, Rest::kWaitsForTime);
  EXPECT_EQ(watch.story(both.pid(), both.pid()).last.rest, Rest::kWaits);
}

}  // namespace
}  // namespace hobbs
