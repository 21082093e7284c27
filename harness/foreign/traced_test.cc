#include "harness/foreign/traced.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "harness/foreign/remote.h"

namespace hobbs::foreign {
namespace {

constexpr int kStatus = 3;

/// A traced process of two threads, which end with kStatus at SIGUSR1.
class TwoThreads {
 public:
  TwoThreads() {
    int told[2];
    EXPECT_EQ(::pipe(told), 0);
    first_ = ::fork();
    if (first_ == 0) run(told[1]);
    EXPECT_EQ(::read(told[0], &second_, sizeof second_), static_cast<ssize_t>(sizeof second_));
    ::close(told[0]);
    ::close(told[1]);
    for (const pid_t thread : {first_, second_}) {
      EXPECT_EQ(::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr), 0);
    }
  }
  ~TwoThreads() {
    ::kill(first_, SIGKILL);
    ::waitpid(second_, nullptr, __WALL);
    while (::waitpid(first_, nullptr, __WALL) > 0) {
    }
  }

  pid_t first() const { return first_; }
  pid_t second() const { return second_; }

 private:
  [[noreturn]] static void run(int tell) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::signal(SIGUSR1, [](int) { ::_exit(kStatus); });
    std::thread second([tell] {
      const pid_t me = ::gettid();
      if (::write(tell, &me, sizeof me) != static_cast<ssize_t>(sizeof me)) ::_exit(1);
      for (;;) ::pause();
    });
    for (;;) ::pause();
  }

  pid_t first_ = -1, second_ = -1;
};

/// Waits for the first thread, to which the signal comes late.
int wait_for_signal(const TwoThreads& process) {
  std::thread late([&process] {
    // The wait must have become one that sleeps; sooner would only test less.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // tidy: the moment is what counts.
    ::syscall(SYS_tgkill, process.first(), process.first(), SIGUSR1);
  });
  const int status = wait_for_stop(process.first());
  late.join();
  return status;
}

TEST(WaitForStopTest, LeavesTheStopsOfOtherThreadsToThoseWhoWaitForThem) {
  const TwoThreads process;
  ASSERT_EQ(::ptrace(PTRACE_INTERRUPT, process.second(), nullptr, nullptr), 0);
  siginfo_t stopped{};
  ASSERT_EQ(
      ::waitid(P_PID, static_cast<id_t>(process.second()), &stopped, WSTOPPED | WNOWAIT | __WALL),
      0);
  const int status = wait_for_signal(process);
  EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1);
  int others = 0;
  EXPECT_TRUE(poll_stop(process.second(), others));
  EXPECT_TRUE(WIFSTOPPED(others));
}

TEST(WaitForStopTest, TellsTheEndOfAProcessWhoseOtherThreadsNobodyWaitsFor) {
  const TwoThreads process;
  const int stopped = wait_for_signal(process);
  ASSERT_TRUE(WIFSTOPPED(stopped));
  ASSERT_EQ(::ptrace(PTRACE_CONT, process.first(), nullptr, WSTOPSIG(stopped)), 0);
  const int ended = wait_for_stop(process.first());
  EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == kStatus);
}

/// A process that does nothing but start threads, which use memory that it shares with us.
class StartsThreads {
 public:
  StartsThreads() {
    void* const at = ::mmap(nullptr, sizeof *started_, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(at, MAP_FAILED);
    started_ = new (at) std::atomic<int>(0);
    pid_ = ::fork();
    if (pid_ == 0) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (pid_ == 0) std::thread([this] { ++*started_; }).join();
  }
  ~StartsThreads() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::munmap(started_, sizeof *started_);
  }

  pid_t pid() const { return pid_; }
  int started() const { return *started_; }
  /// Whether it lives and gets on.
  bool gets_on() const {
    constexpr std::chrono::seconds kPatience{20};
    const auto until = std::chrono::steady_clock::now() + kPatience;
    const int before = started();
    siginfo_t ended{};
    while (started() == before) {
      if (std::chrono::steady_clock::now() > until ||
          ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
          ended.si_pid == pid_) {
        return false;
      }
      ::sched_yield();
    }
    return true;
  }

 private:
  std::atomic<int>* started_ = nullptr;
  pid_t pid_ = -1;
};

/// Whatever it is just doing when it is stopped, and its rights are taken and given back.
TEST(TracedTest, DisturbsNoProcessThatStartsThreads) {
  constexpr int kTimes = 300;
  const StartsThreads process;
  for (int i = 0; i < kTimes; ++i) {
    ASSERT_TRUE(process.gets_on()) << "after " << i << " times";
    Traced traced(process.pid(), {.replied = [] { return false; }, .socket_path = "/none"});
    traced.begin_call();
  }
  EXPECT_TRUE(process.gets_on());
}

}  // namespace
}  // namespace hobbs::foreign
