// What a slice leaves behind, which nobody else knows of.
#include "harness/slice.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "reports/result.h"

namespace hobbs {
namespace {

constexpr int kAllowed = 0, kRefused = 1;

/// Whether this machine lets a process have System V objects of its own.
bool may_have_its_own() {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWIPC) == 0 ? kAllowed : kRefused);
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == kAllowed;
}

TEST(SliceTest, LeavesNoSemaphoreSetsBehind) {
  if (!may_have_its_own()) GTEST_SKIP() << "the system refuses a namespace for System V objects";
  const auto key = static_cast<key_t>(getpid());
  sigset_t signals;
  sigprocmask(SIG_SETMASK, nullptr, &signals);
  Slice slice(
      [key](const SliceChannel&) {
        Result made;
        made.reason = semget(key, 1, IPC_CREAT | IPC_EXCL | 0600) >= 0 ? "made" : "not made";
        return std::vector{made};
      },
      signals);
  int status = 0;
  ASSERT_EQ(waitpid(slice.pid(), &status, 0), slice.pid());
  const SliceEnd end = slice.finish(status);
  ASSERT_EQ(end.results.size(), 1u) << end.last_words;
  EXPECT_EQ(end.results[0].reason, "made");
  EXPECT_EQ(semget(key, 1, 0), -1);
}

}  // namespace
}  // namespace hobbs
