// Broken locks that the gallery has none of, each for one scenario of the free driver.
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "locks/lock.h"
#include "locks/seeds/lock_file.h"

namespace hobbs {

/// Takes a wait that a signal has ended for success (ME-1, under signals).
template <class P>
class InterruptedIsMine {
 public:
  static constexpr char kind[] = "file";

  explicit InterruptedIsMine(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  ~InterruptedIsMine() { ::close(descriptor_); }

  void lock() { static_cast<void>(::flock(descriptor_, LOCK_EX)); }
  void unlock() { static_cast<void>(::flock(descriptor_, LOCK_UN)); }

 private:
  int descriptor_;
};

/// Releases by closing. The broken one lets programs that are started meanwhile inherit the
/// descriptor (FK-5).
template <class P, bool kInherited>
class ReleasesByClosing {
 public:
  static constexpr char kind[] = "file";

  explicit ReleasesByClosing(const char* path) : path_(path) {}

  bool lock() {
    descriptor_ = ::open(path_.c_str(), O_CREAT | O_RDWR | (kInherited ? 0 : O_CLOEXEC), 0600);
    return ::flock(descriptor_, LOCK_EX) == 0;
  }
  void unlock() { ::close(descriptor_); }

 private:
  std::string path_;
  int descriptor_ = -1;
};

template <class P>
class Inheritable : public ReleasesByClosing<P, true> {
 public:
  using ReleasesByClosing<P, true>::ReleasesByClosing;
};
template <class P>
class NotInheritable : public ReleasesByClosing<P, false> {
 public:
  using ReleasesByClosing<P, false>::ReleasesByClosing;
};

/// The descriptor that it holds by stays open in a program that its holder becomes (CR-10).
template <class P>
class OutlivesExec : public Inheritable<P> {
 public:
  static constexpr Claims claims{.crash = CrashBehaviour::kReleasedBySystem, .exec_is_death = true};
  using Inheritable<P>::Inheritable;
};

/// A child that is forked in the midst of an acquire gives back what is half taken: but the lock is
/// one for both (FK-6).
template <class P>
class HalfTaken {
 public:
  explicit HalfTaken(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {
    static const int once = ::pthread_atfork(nullptr, nullptr, [] {
      if (taking() >= 0) ::flock(taking(), LOCK_UN);  // BUG: of the parent, too.
    });
    static_cast<void>(once);
  }
  ~HalfTaken() { ::close(descriptor_); }
  void lock() {
    taking() = descriptor_;
    while (::flock(descriptor_, LOCK_EX) != 0) {
    }
    file_point<P>();
    taking() = -1;
  }
  void unlock() { ::flock(descriptor_, LOCK_UN); }

 private:
  static int& taking() {
    static int descriptor = -1;
    return descriptor;
  }
  int descriptor_;
};

/// Opens the file anew for each hold, and flocks it. Given up with false.
class FlocksAnew {
 public:
  FlocksAnew(const char* path, int flags) : path_(path), flags_(flags | O_CLOEXEC) {}

  bool lock() {
    descriptor_ = ::open(path_.c_str(), flags_, 0600);
    if (descriptor_ < 0) return false;
    while (::flock(descriptor_, LOCK_EX) != 0) {
    }
    return true;
  }
  void unlock() { ::close(std::exchange(descriptor_, -1)); }

 protected:
  bool is_at_path() const {
    struct stat mine {
    }, there{};
    return ::fstat(descriptor_, &mine) == 0 && ::stat(path_.c_str(), &there) == 0 &&
           mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
  }

  const std::string path_;

 private:
  const int flags_;
  int descriptor_ = -1;
};

/// Whether the file that it has locked is the one at the path: who does not look lets a newcomer in
/// beside a waiter of the old file (FS-4).
template <bool looks>
class MindsItsPath : public FlocksAnew {
 public:
  static constexpr Claims claims{.path_replaceable = true};
  explicit MindsItsPath(const char* path) : FlocksAnew(path, O_CREAT | O_RDWR) {}
  bool lock() {
    while (FlocksAnew::lock()) {
      if (!looks || is_at_path()) return true;
      unlock();
    }
    return false;
  }
};

/// Removes its file when it leaves: the one that it has locked, or whatever is there by then
/// (FS-4).
template <bool looks>
class CleansUp : public MindsItsPath<true> {
 public:
  explicit CleansUp(const char* path) : MindsItsPath<true>(path) {}
  void unlock() {
    if (!looks || is_at_path()) ::unlink(path_.c_str());
    MindsItsPath<true>::unlock();
  }
};

/// Makes its file once in each process, and counts on it from then on (FS-4).
class MakesItOnce : public FlocksAnew {
 public:
  static constexpr Claims claims{.content_ignored = true};
  explicit MakesItOnce(const char* path) : FlocksAnew(path, O_RDWR) {
    static bool made = false;
    if (!std::exchange(made, true)) ::close(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  }
};

/// Keeps its file open in each process, whatever becomes of its objects: nothing is at rest then,
/// and nobody may replace it.
class KeepsItOpen {
 public:
  static constexpr Claims claims{.content_ignored = true};
  explicit KeepsItOpen(const char* path) {
    if (kept_ < 0) kept_ = ::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  }
  void lock() {
    while (::flock(kept_, LOCK_EX) != 0) {
    }
  }
  void unlock() { ::flock(kept_, LOCK_UN); }

 private:
  static inline int kept_ = -1;
};

/// What waits for a FIFO's other end (FS-8), and what does not.
template <int flags>
class OpensToWrite : public FlocksAnew {
 public:
  static constexpr Claims claims{.reports_errors = true};
  explicit OpensToWrite(const char* path) : FlocksAnew(path, O_CREAT | O_WRONLY | flags) {}
};

/// Goes on without a lock where "no locks are available" (FS-10): as if that meant for nobody.
template <bool goes_on>
class WithoutLocks {
 public:
  static constexpr Claims claims{
      .thread_shared = false, .releaser = Releaser::kProcess, .reports_errors = true};

  explicit WithoutLocks(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  ~WithoutLocks() { ::close(descriptor_); }
  bool lock() {
    while (set(F_WRLCK) != 0) {
      if (errno == ENOLCK) return goes_on;  // BUG, if it does.
    }
    return true;
  }
  void unlock() { set(F_UNLCK); }

 private:
  int set(short type) {
    struct flock range {};
    range.l_type = type;
    range.l_whence = SEEK_SET;
    return ::fcntl(descriptor_, F_SETLKW, &range);
  }
  int descriptor_;
};

/// Takes a record that says nothing for one that says: free (FS-9).
class ReadsItsFile {
 public:
  static constexpr Claims claims{.content_ignored = true};

  explicit ReadsItsFile(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  ~ReadsItsFile() { ::close(descriptor_); }
  void lock() {
    while (!write_if('h', 'f')) ::sched_yield();
  }
  void unlock() { write_if('f', 'h'); }

 private:
  bool write_if(char next, char expected) {
    while (::flock(descriptor_, LOCK_EX) != 0) {
    }
    char found = 0;
    const bool read = ::pread(descriptor_, &found, 1, 0) == 1;
    const bool done = !read || found == expected || found != 'h';  // BUG.
    if (done) static_cast<void>(!::pwrite(descriptor_, &next, 1, 0));
    ::flock(descriptor_, LOCK_UN);
    return done;
  }
  int descriptor_;
};

/// The owner's process id in a word, free once kill() says that there is none: the dead whom nobody
/// has waited for count as alive (CR-18).
class AliveWhileUnreaped {
 public:
  static constexpr char kind[] = "robust";

  void lock() {
    const auto self = static_cast<std::uint32_t>(::getpid());
    for (std::uint32_t owner = 0; !owner_.compare_exchange_strong(owner, self); owner = 0) {
      const bool dead = ::kill(static_cast<pid_t>(owner), 0) != 0 && errno == ESRCH;
      if (dead && owner_.compare_exchange_strong(owner, self)) return;
      const timespec nap{0, 200'000};
      ::nanosleep(&nap, nullptr);
    }
  }
  void unlock() { owner_.store(0); }

 private:
  std::atomic<std::uint32_t> owner_{0};
};

/// Makes itself ready at its first use, which two may be at once (ME-1).
template <class P>
class FirstUse {
 public:
  void lock() {
    if (ready_.load(std::memory_order_acquire) == 0) {
      word_.store(1,
                  std::memory_order_relaxed);  // BUG: another one may have done so, and be inside.
      ready_.store(1, std::memory_order_release);
    }
    std::uint32_t free = 1;
    while (!word_.compare_exchange_strong(free, 2, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      P::yield();
      free = 1;
    }
  }
  void unlock() { word_.store(1, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> ready_{};
  typename P::template atomic<std::uint32_t> word_{};
};

/// Leaves a mark of having been waited for (AB-4).
template <class P>
class Marked {
 public:
  static constexpr Claims claims{.pristine_when_free = true};

  void lock() {
    while (word_.exchange(1, std::memory_order_acquire) != 0) {
      waited_.store(1, std::memory_order_relaxed);
      P::yield();
    }
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{};
  typename P::template atomic<std::uint32_t> waited_{};  // BUG: stays.
};

/// Remembers where its holder's copy of it is, and not in which process (MM-5).
template <class P>
class Addressed {
 public:
  void lock() {
    std::uint64_t free = 0;
    while (!holder_.compare_exchange_strong(free, reinterpret_cast<std::uintptr_t>(this),
                                            std::memory_order_acquire, std::memory_order_relaxed)) {
      // BUG: another address is taken for an old lock's.
      if (free != reinterpret_cast<std::uintptr_t>(this)) holder_.store(0);
      free = 0;
      P::pause();
    }
  }
  void unlock() { holder_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint64_t> holder_{};
};

/// A lease that is over after a while, whether or not its holder lives (ST-2).
class Lease {
 public:
  static constexpr Claims claims{.crash = CrashBehaviour::kTakeover};

  void lock() {
    for (std::int64_t until = 0;; until = 0) {
      const std::int64_t end = now_ns() + kLeaseNs;
      if (until_.compare_exchange_strong(until, end)) return;
      if (until < now_ns() && until_.compare_exchange_strong(until, end)) return;
      const timespec nap{0, 100'000};
      ::nanosleep(&nap, nullptr);
    }
  }
  void unlock() { until_.store(0); }

 private:
  static constexpr std::int64_t kLeaseNs = 10'000'000;
  static std::int64_t now_ns() {
    timespec time;
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
  }

  std::atomic<std::int64_t> until_{0};
};

/// Its word in the file is set to free by everybody who opens it, not only by the first (FS-18).
class EverybodyInitialises {
 public:
  explicit EverybodyInitialises(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {
    if (::ftruncate(descriptor_, sizeof *word_) != 0) return;
    word_ = static_cast<std::atomic<std::uint32_t>*>(
        ::mmap(nullptr, sizeof *word_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0));
    word_->store(0);  // BUG: somebody may hold it.
  }
  ~EverybodyInitialises() {
    ::munmap(word_, sizeof *word_);
    ::close(descriptor_);
  }
  void lock() {
    while (word_->exchange(1) != 0) ::sched_yield();
  }
  void unlock() { word_->store(0); }

 private:
  int descriptor_;
  std::atomic<std::uint32_t>* word_ = nullptr;
};

/// A forked child tidies up what its parent holds: the lock is one for both (FK-2).
class TidyChild {
 public:
  explicit TidyChild(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {
    held() = -1;
    static const int once = ::pthread_atfork(nullptr, nullptr, [] {
      if (held() >= 0) ::flock(held(), LOCK_UN);  // BUG: of the parent, too.
    });
    static_cast<void>(once);
  }
  ~TidyChild() { ::close(descriptor_); }
  void lock() {
    while (::flock(descriptor_, LOCK_EX) != 0) {
    }
    held() = descriptor_;
  }
  void unlock() {
    held() = -1;
    ::flock(descriptor_, LOCK_UN);
  }

 private:
  static int& held() {
    static int descriptor = -1;
    return descriptor;
  }
  int descriptor_;
};

/// Its end frees the lock, also the end of the copy that a holder's child has inherited (FK-2).
class TidyEnd {
 public:
  explicit TidyEnd(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  ~TidyEnd() {
    ::flock(descriptor_, LOCK_UN);  // BUG: the parent holds it by this very description.
    ::close(descriptor_);
  }
  void lock() {
    while (::flock(descriptor_, LOCK_EX) != 0) {
    }
  }
  void unlock() { ::flock(descriptor_, LOCK_UN); }

 private:
  int descriptor_;
};

/// When a signal ends its wait, it lets go of everything before it waits on (SG-3).
class LetsGoOfAll {
 public:
  explicit LetsGoOfAll(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  ~LetsGoOfAll() { ::close(descriptor_); }
  void lock() {
    while (::flock(descriptor_, LOCK_EX) != 0) {
      for (const int other : held()) ::flock(other, LOCK_UN);  // BUG.
    }
    held().push_back(descriptor_);
  }
  void unlock() {
    std::erase(held(), descriptor_);
    ::flock(descriptor_, LOCK_UN);
  }

 private:
  static std::vector<int>& held() {
    static thread_local std::vector<int> descriptors;
    return descriptors;
  }
  int descriptor_;
};

/// Opens its file at every acquire and does not close it (RS-1).
class LeavesOpen {
 public:
  explicit LeavesOpen(const char* path) : path_(path) {}
  void lock() {
    descriptor_ = ::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    while (::flock(descriptor_, LOCK_EX) != 0) {
    }
  }
  void unlock() { ::flock(descriptor_, LOCK_UN); }  // BUG: and not closed.

 private:
  std::string path_;
  int descriptor_ = -1;
};

/// Takes a file that it cannot open for one that nobody holds (FS-10).
class CannotOpenSoFree {
 public:
  static constexpr Claims claims{.checks_misuse = true, .reports_errors = true};

  explicit CannotOpenSoFree(const char* path) : path_(path) {}
  void lock() {
    descriptor_ = ::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor_ < 0) return;  // BUG.
    while (::flock(descriptor_, LOCK_EX) != 0) {
    }
  }
  void unlock() { ::close(std::exchange(descriptor_, -1)); }

 private:
  std::string path_;
  int descriptor_ = -1;
};

/// A record lock, which its process loses when it closes any descriptor of the file (FS-2).
class LosesByClosing {
 public:
  static constexpr char kind[] = "file";

  explicit LosesByClosing(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  ~LosesByClosing() { ::close(descriptor_); }
  void lock() {
    while (set(F_WRLCK, F_SETLKW) != 0) {
    }
  }
  void unlock() { set(F_UNLCK, F_SETLK); }

 private:
  int set(short type, int command) {
    struct flock range {};
    range.l_type = type;
    range.l_whence = SEEK_SET;
    return ::fcntl(descriptor_, command, &range);
  }
  int descriptor_;
};

/// Refuses as a deadlock what only has to wait (DL-4).
template <class P>
class SeesDeadlocks {
 public:
  Outcome lock() {
    for (int looks = 0; word_.exchange(1, std::memory_order_acquire) != 0; ++looks) {
      if (looks == 1'000) return Outcome::kDeadlock;  // BUG.
      P::pause();
    }
    return Outcome::kAcquired;
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

/// Clears what it takes for a dead holder's mark and, if it was a living one's, puts it back
/// (ST-3).
template <class P>
class TakesAside {
 public:
  static constexpr Claims claims{.crash = CrashBehaviour::kTakeover};

  void lock() {
    for (std::uint32_t seen = 0; !word_.compare_exchange_strong(seen, P::self()); seen = 0) {
      if (P::alive(seen)) {
        P::pause();
        continue;
      }
      const std::uint32_t taken = word_.exchange(0);
      std::uint32_t free = 0;  // BUG: somebody may be in by now.
      if (taken != seen && P::alive(taken)) word_.compare_exchange_strong(free, taken);
    }
  }
  void unlock() {
    std::uint32_t me = P::self();
    word_.compare_exchange_strong(me, 0);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

/// Upgrades as flock(2) converts: it lets go of the one hold before it waits for the other (RW-1).
class Converts {
 public:
  explicit Converts(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  ~Converts() { ::close(descriptor_); }
  void lock() { call(LOCK_EX); }
  void unlock() { call(LOCK_UN); }
  void lock_shared() { call(LOCK_SH); }
  void unlock_shared() { call(LOCK_UN); }
  bool upgrade() {
    call(LOCK_EX);  // BUG.
    return true;
  }

 private:
  void call(int operation) {
    while (::flock(descriptor_, operation) != 0) {
    }
  }
  int descriptor_;
};

}  // namespace hobbs
