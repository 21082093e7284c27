// The inter-process reader-writer lock on a path: fasteners' InterProcessReaderWriterLock.
//
//   this process   acquire read                 acquire write                 release read / write
//   holds nothing  read, or attempts            write, or attempts            kNotOpen / kNotOpen
//   read           true (not counted)           write if alone, or attempts,  nothing / kNotOpen
//                                               the read hold kept
//   write          read: converted, no gap      true (not counted)            kNotOpen / nothing
//
// Claims: as the inter-process lock has them, in two modes; the two locks exclude each other on one
// path. Readers do not wait for waiting writers. Two processes that both turn a read into a write
// hold wait for each other: give them timeouts.
// Memory orders: none of ours; the kernel orders, and a mutex inside the process (file_hold.h).
// Source: fasteners' documentation, "Process Lock API"; fcntl(2).
// Not copied: in the real one a release after a failed acquire, or in a forked child, or of the
// other mode, succeeds (the last one by releasing everything); here it is refused.
#pragma once

#include <mutex>
#include <shared_mutex>
#include <utility>

#include "locks/reference/lockable.h"
#include "locks/seeds/file_hold.h"

namespace hobbs {

template <class P>
class InterProcessReaderWriterLock
    : public TimedLockable<InterProcessReaderWriterLock<P>, P>,
      public SharedTimedLockable<InterProcessReaderWriterLock<P>, P> {
 public:
  static constexpr Claims claims = {.thread_shared = false,
                                    .releaser = Releaser::kProcess,
                                    .crash = CrashBehaviour::kReleasedBySystem,
                                    .fairness = Fairness::kReaderPreference,
                                    .exec_is_death = true,
                                    .reports_errors = true,
                                    .content_ignored = true,
                                    .across_namespaces = true,
                                    .waits_asleep = true};

  /// Nothing is opened before the first acquire. Empty functions: a plain sleep, no log.
  explicit InterProcessReaderWriterLock(std::string path, SleepFunction sleep = {}, Logger log = {})
      : hold_(std::move(path), Mode::kShared, std::move(sleep), std::move(log)) {}
  explicit InterProcessReaderWriterLock(const char* path)
      : InterProcessReaderWriterLock(std::string(path)) {}

  /// Whether it is held in that mode now. Errors as InterProcessLock::acquire().
  bool acquire_read_lock(const BackOff& wait = {}) { return hold_.take(Mode::kShared, wait); }
  bool acquire_write_lock(const BackOff& wait = {}) { return hold_.take(Mode::kExclusive, wait); }
  /// kNotOpen unless this process holds it in that mode.
  void release_read_lock() { drop(Mode::kShared); }
  void release_write_lock() { drop(Mode::kExclusive); }

  /// A hold until the end of the guard's life; waits for ever. Not to be nested: the inner guard
  /// converts or ends the outer one's hold.
  [[nodiscard]] auto read_lock(Seconds delay = BackOff{}.delay,
                               Seconds max_delay = BackOff{}.max_delay) {
    acquire_read_lock({.delay = delay, .max_delay = max_delay});
    return std::shared_lock<InterProcessReaderWriterLock>(*this, std::adopt_lock);
  }
  [[nodiscard]] auto write_lock(Seconds delay = BackOff{}.delay,
                                Seconds max_delay = BackOff{}.max_delay) {
    acquire_write_lock({.delay = delay, .max_delay = max_delay});
    return std::unique_lock<InterProcessReaderWriterLock>(*this, std::adopt_lock);
  }

  bool take(const Patience& patience) {
    return acquire_write_lock(BackOff::of(patience, P::now()));
  }
  bool take_shared(const Patience& patience) {
    return acquire_read_lock(BackOff::of(patience, P::now()));
  }
  void release() { release_write_lock(); }
  void release_shared() { release_read_lock(); }

  /// Read to write if no other process reads; else false, and the read hold is kept.
  [[nodiscard]] bool try_upgrade() {
    require(Mode::kShared);
    return acquire_write_lock({.blocking = false});
  }
  /// Write to read without a gap.
  void downgrade() {
    require(Mode::kExclusive);
    acquire_read_lock({.blocking = false});
  }

 private:
  [[noreturn]] static void refuse() {
    throw LockError(LockErrorKind::kNotOpen, "not held in that mode by this process");
  }
  void require(Mode mode) const {
    if (!hold_.held(mode)) refuse();
  }
  void drop(Mode mode) {
    if (!hold_.drop(mode)) refuse();
  }

  FileHold<P> hold_;
};

}  // namespace hobbs
