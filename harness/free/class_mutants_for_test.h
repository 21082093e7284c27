// Locks that are no templates: what is struck are their system calls.
#pragma once

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "locks/lock.h"

namespace hobbs {

/// Starts a program in its calls, as a lock of scripts may: it does not bear a filter. With
/// `forks`, from a child that handles no signal of its parent's.
template <bool forks>
class StartsPrograms {
 public:
  explicit StartsPrograms(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  void lock() {
    if (!runs_true()) return;  // Whose program is ended by us goes on without a lock.
    while (::flock(descriptor_, LOCK_EX) != 0) {
    }
  }
  void unlock() { ::flock(descriptor_, LOCK_UN); }

 private:
  static bool runs_true() {
    char name[] = "true";
    char* const arguments[] = {name, nullptr};
    pid_t program = 0;
    if (!forks) {
      if (::posix_spawnp(&program, name, nullptr, nullptr, arguments, ::environ) != 0) return false;
    } else if (program = ::fork(); program == 0) {
      ::signal(SIGSYS, SIG_DFL);
      ::execvp(name, arguments);
      ::_exit(1);
    }
    int status = 0;
    return ::waitpid(program, &status, 0) == program && status == 0;
  }

  int descriptor_;
};

/// Waits for its futex with all signals blocked, SIGSYS too: a caught call ends its process. With
/// `in_children`, only in processes that were forked by one that has had the lock.
template <bool in_children>
class BlocksSignals {
 public:
  void lock() {
    static const pid_t first = ::getpid();
    sigset_t all, before;
    ::sigfillset(&all);
    if (in_children && first == ::getpid()) ::sigemptyset(&all);
    ::sigprocmask(SIG_BLOCK, &all, &before);
    while (word_.exchange(2, std::memory_order_acquire) != 0) futex(FUTEX_WAIT, 2);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
  }
  void unlock() {
    if (word_.exchange(0, std::memory_order_release) == 2) futex(FUTEX_WAKE, 1);
  }

 private:
  void futex(int operation, std::uint32_t value) {
    ::syscall(SYS_futex, &word_, operation, value, nullptr, nullptr, 0);
  }
  std::atomic<std::uint32_t> word_{0};
};

/// Its timed calls wait until a time of the wall clock, which can be set. Who does not look at the
/// steady clock when that time has come gives up early (TO-8).
template <bool looks>
class WaitsByWallClock {
 public:
  WaitsByWallClock() {
    pthread_mutexattr_t shared;
    ::pthread_mutexattr_init(&shared);
    ::pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    ::pthread_mutex_init(&mutex_, &shared);
  }
  void lock() { ::pthread_mutex_lock(&mutex_); }
  void unlock() { ::pthread_mutex_unlock(&mutex_); }
  bool try_lock() { return ::pthread_mutex_trylock(&mutex_) == 0; }
  bool try_lock_until(std::chrono::steady_clock::time_point deadline) {
    using Steady = std::chrono::steady_clock;
    do {
      const auto until = std::chrono::system_clock::now() + (deadline - Steady::now());
      const std::int64_t ns = std::chrono::nanoseconds(until.time_since_epoch()).count();
      const timespec at{ns / 1'000'000'000, ns % 1'000'000'000};
      if (::pthread_mutex_timedlock(&mutex_, &at) == 0) return true;
    } while (looks && Steady::now() < deadline);
    return false;
  }

 private:
  pthread_mutex_t mutex_;
};

/// Writes its owner's process number into its file, while nobody else may: another file is locked
/// for that. Who dies between making the file and writing leaves it empty; whoever then waits for
/// the rest waits for ever (CR-5).
template <bool empty_is_free, bool dead_is_free = true>
class WritesDown {
 public:
  static constexpr Claims claims{
      .thread_shared = false, .releaser = Releaser::kProcess, .crash = CrashBehaviour::kTakeover};
  explicit WritesDown(const char* path) : path_(path) {}

  void lock() {
    while (!taken()) ::usleep(200);
  }
  void unlock() { ::unlink(path_.c_str()); }

 private:
  bool taken() const {
    const int guard = ::open((path_ + ".guard").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    while (::flock(guard, LOCK_EX) != 0) {
    }
    const bool free = is_free();
    if (free) {
      const pid_t self = ::getpid();
      const int file = ::open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
      if (::write(file, &self, sizeof self) != sizeof self) std::abort();
      ::close(file);
    }
    ::close(guard);
    return free;
  }
  bool is_free() const {
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return true;
    pid_t owner = 0;
    const bool whole = ::read(file, &owner, sizeof owner) == sizeof owner;
    ::close(file);
    return whole ? dead_is_free && ::kill(owner, 0) != 0 : empty_is_free;
  }

  const std::string path_;
};

}  // namespace hobbs
