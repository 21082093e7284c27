// Broken locks for the scenes of the free driver, one each.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "locks/lock.h"

namespace hobbs {

/// Re-entrant by the process's number, which is not one process's in two namespaces (ID-3).
class NumberIsOwner {
 public:
  static constexpr Claims claims{
      .releaser = Releaser::kProcess, .reentrant = true, .across_namespaces = true};

  bool try_lock() {
    const auto self = static_cast<std::uint32_t>(::getpid());
    std::uint32_t owner = 0;
    if (!owner_.compare_exchange_strong(owner, self) && owner != self) return false;
    ++depth_;
    return true;
  }
  void lock() {
    while (!try_lock()) ::sched_yield();
  }
  void unlock() {
    if (--depth_ == 0) owner_.store(0);
  }

 private:
  std::atomic<std::uint32_t> owner_{0};
  std::uint32_t depth_ = 0;
};

/// Its waiters expect another value than they have left in the word, and never sleep (RS-3).
template <class P>
class Sleepless {
 public:
  static constexpr Claims claims{.waits_asleep = true};

  void lock() {
    while (word_.exchange(2, std::memory_order_acquire) != 0) P::futex_wait(word_, 1);  // BUG: 2.
  }
  void unlock() {
    if (word_.exchange(0, std::memory_order_release) == 2) P::futex_wake(word_, 1);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

/// Free is one, as only the constructor says (AB-1).
template <class P>
class FreeIsOne {
 public:
  static constexpr Claims claims{.zero_is_free = true};

  void lock() {
    while (word_.exchange(0, std::memory_order_acquire) == 0) P::yield();
  }
  void unlock() { word_.store(1, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{1};
};

/// Gives up all that its process holds when it is refused for a deadlock (DL-5).
class GivesUpAll {
 public:
  static constexpr Claims claims{.thread_shared = false,
                                 .releaser = Releaser::kProcess,
                                 .crash = CrashBehaviour::kReleasedBySystem,
                                 .finds_deadlock = Deadlock::kRing};

  explicit GivesUpAll(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {
    all().push_back(this);
  }
  ~GivesUpAll() {
    std::erase(all(), this);
    ::close(descriptor_);
  }
  Outcome lock() {
    if (set(F_SETLKW, F_WRLCK)) return Outcome::kAcquired;
    if (errno != EDEADLK) return Outcome::kSystemError;
    for (GivesUpAll* lock : all()) lock->unlock();
    return Outcome::kDeadlock;
  }
  Outcome try_lock() { return set(F_SETLK, F_WRLCK) ? Outcome::kAcquired : Outcome::kBusy; }
  Outcome unlock() { return set(F_SETLK, F_UNLCK) ? Outcome::kReleased : Outcome::kSystemError; }

 private:
  static std::vector<GivesUpAll*>& all() {
    static std::vector<GivesUpAll*> all;
    return all;
  }
  bool set(int command, short type) {
    struct flock whole {};
    whole.l_type = type;
    return ::fcntl(descriptor_, command, &whole) == 0;
  }

  int descriptor_;
};

/// fcntl locks, which know no threads, and a set of what this process's threads hold: by the
/// letters of the path (FS-7), or by the file.
template <bool kByFile>
class HeldInProcess {
 public:
  static constexpr Claims claims{.crash = CrashBehaviour::kReleasedBySystem};

  explicit HeldInProcess(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)), key_(path) {
    struct stat file {};
    if (kByFile && ::fstat(descriptor_, &file) == 0) key_ = std::to_string(file.st_ino);
  }
  bool try_lock() {
    const std::lock_guard guard(mutex());
    if (!held().insert(key_).second) return false;
    if (set(F_WRLCK)) return true;
    held().erase(key_);
    return false;
  }
  void lock() {
    while (!try_lock()) ::sched_yield();
  }
  void unlock() {
    const std::lock_guard guard(mutex());
    set(F_UNLCK);
    held().erase(key_);
  }

 private:
  static std::mutex& mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static std::set<std::string>& held() {
    static std::set<std::string> held;
    return held;
  }
  bool set(short type) {
    struct flock whole {};
    whole.l_type = type;
    return ::fcntl(descriptor_, F_SETLK, &whole) == 0;
  }

  int descriptor_;  // Never closed: that would give up what other objects hold.
  std::string key_;
};

/// Takes no name that is not whole, and says so: healthy.
class WholePathsOnly {
 public:
  static constexpr Claims claims{.crash = CrashBehaviour::kReleasedBySystem};

  explicit WholePathsOnly(const char* path)
      : descriptor_(*path == '/' ? ::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600) : -1) {}
  ~WholePathsOnly() { ::close(descriptor_); }
  Outcome try_lock() { return lock_by(LOCK_EX | LOCK_NB); }
  Outcome lock() { return lock_by(LOCK_EX); }
  Outcome unlock() {
    ::flock(descriptor_, LOCK_UN);
    return Outcome::kReleased;
  }

 private:
  Outcome lock_by(int how) {
    if (descriptor_ < 0) return Outcome::kBadArgument;
    while (::flock(descriptor_, how) != 0) {
      if (errno != EINTR) return Outcome::kBusy;
    }
    return Outcome::kAcquired;
  }

  int descriptor_;
};

}  // namespace hobbs
