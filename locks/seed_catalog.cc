#include "locks/seed_catalog.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "locks/seeds/inter_process_lock.h"
#include "locks/seeds/inter_process_reader_writer_lock.h"
#include "locks/seeds/named_semaphore.h"
#include "locks/seeds/process_lock.h"
#include "locks/seeds/process_reentrant_lock.h"
#include "locks/seeds/process_semaphore.h"
#include "locks/seeds/shared_lock.h"
#include "locks/seeds/thread_lock.h"
#include "locks/seeds/thread_reentrant_lock.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

template <template <class> class L>
LockSpec seed(const char* name, const char* summary, const char* source) {
  LockSpec spec = spec_of<L>(name);
  spec.summary = summary;
  spec.source = source;
  spec.seed = true;
  return spec;
}

LockSpec on_path(LockSpec spec, const char* summary, const char* source) {
  spec.summary = summary;
  spec.source = source;
  spec.seed = true;
  spec.controlled = {};  // What excludes is the kernel's: modelled workers are one process to it.
  return spec;
}

/// The semaphores as the catalogue shows them: two permits at first.
template <class P>
struct TwoPermits : ProcessSemaphore<P> {
  static constexpr Claims claims = {.releaser = Releaser::kAnyone,
                                    .semaphore = true,
                                    .permits = 2,
                                    .counts_above_permits = true,
                                    .checks_misuse = true,
                                    .pristine_when_free = true};
  TwoPermits() : ProcessSemaphore<P>(2) {}
};
template <class P>
struct TwoPermitsAtMost : ProcessSemaphore<P> {
  static constexpr Claims claims = {.releaser = Releaser::kAnyone,
                                    .semaphore = true,
                                    .permits = 2,
                                    .bounded_release = true,
                                    .checks_misuse = true,
                                    .pristine_when_free = true};
  TwoPermitsAtMost() : ProcessSemaphore<P>(2, Bound::kFirstValue) {}
};

/// The process lock by name, as each worker sees it. The name is made of the path; who clears the
/// path's directory away removes it. What keeps the name from being opened shows in each call.
class LockByName : public TimedLockable<LockByName, RealPlatform> {
 public:
  static constexpr Claims claims = {.releaser = Releaser::kAnyone, .checks_misuse = true};

  explicit LockByName(const char* path) noexcept {
    std::string name = path;
    std::ranges::replace(name, '/', '.');
    try {
      lock_.emplace(NamedSemaphore::open_or_create("/" + name, 1));
    } catch (const LockError& error) {
      error_ = error.code().value();
    }
  }
  bool take(const Patience& patience) { return opened().take(patience); }
  void release() { opened().release(); }

 private:
  NamedProcessLock& opened() {
    if (!lock_) throw LockError(error_, "the semaphore's name");
    return *lock_;
  }

  std::optional<NamedProcessLock> lock_;
  int error_ = 0;
};

/// The file locks with pauses of a hundredth of the documented ones, through the sleep function
/// that they take: waiters that look again after 10 ms hardly ever meet.
void sleep_a_hundredth(Seconds duration) { sleep_through_signals(duration / 100); }

template <class P>
struct BriskLock : InterProcessLock<P> {
  explicit BriskLock(const char* path) : InterProcessLock<P>(path, sleep_a_hundredth) {}
};
template <class P>
struct BriskReaderWriterLock : InterProcessReaderWriterLock<P> {
  explicit BriskReaderWriterLock(const char* path)
      : InterProcessReaderWriterLock<P>(path, sleep_a_hundredth) {}
};

}  // namespace

Catalog seed_catalog() {
  return {
      seed<ThreadLock>("thread_lock", "Python's threading.Lock: anyone releases; timed.",
                       "Python library reference, threading.Lock"),
      seed<ThreadReentrantLock>("thread_reentrant_lock", "Python's threading.RLock; timed.",
                                "Python library reference, threading.RLock"),
      seed<ProcessLock>(
          "process_lock",
          "Python's multiprocessing.Lock, in the same semaphore: anyone releases; timed.",
          "Python library reference, multiprocessing.Lock"),
      on_path(path_spec_of<LockByName>("process_lock_by_name"),
              "The process lock in a named semaphore.",
              "Python library reference, multiprocessing.Lock; sem_open(3)"),
      seed<ProcessReentrantLock>("process_reentrant_lock", "Python's multiprocessing.RLock; timed.",
                                 "Python library reference, multiprocessing.RLock"),
      seed<TwoPermits>("process_semaphore",
                       "Python's multiprocessing.Semaphore, of two permits at first; timed.",
                       "Python library reference, multiprocessing.Semaphore"),
      seed<TwoPermitsAtMost>("process_bounded_semaphore",
                             "Python's multiprocessing.BoundedSemaphore, of two permits; timed.",
                             "Python library reference, multiprocessing.BoundedSemaphore"),
      on_path(path_spec_of<BriskLock>("inter_process_lock"),
              "fasteners' InterProcessLock: a file that the kernel locks for a process; timed. "
              "Here with short pauses.",
              "fasteners, Process Lock API; fcntl(2)"),
      on_path(path_spec_of<BriskReaderWriterLock>("inter_process_reader_writer_lock"),
              "fasteners' InterProcessReaderWriterLock, likewise; try upgrade, downgrade; timed.",
              "fasteners, Process Lock API; fcntl(2)"),
      seed<SharedLock>(
          "shared_lock",
          "multiprocessing_utils' SharedLock: shared or exclusive, held by a thread; timed.",
          "multiprocessing_utils, Shared locks"),
      seed<SharedReentrantLock>(
          "shared_reentrant_lock",
          "multiprocessing_utils' SharedRLock: likewise, and re-entrant; timed.",
          "multiprocessing_utils, Shared locks"),
  };
}

}  // namespace hobbs
