// The shared lock and the re-entrant shared lock: multiprocessing_utils' SharedLock and
// SharedRLock.
//
//   caller holds    acquire shared               acquire exclusive            release
//   nothing         shared, or waits             exclusive, or waits          kOverRelease
//   shared          kReentryRefused /            kUpgradeRefused              one level less; at 0
//                   re-entrant: one level more                                nothing
//   exclusive       kReentryRefused /            kReentryRefused /            one level less; at 0
//                   re-entrant: one level more   re-entrant: one level more   nothing
//   A shared acquire waits while somebody holds it exclusively or waits to; an exclusive one while
//   anybody else holds it. Re-entry never waits; within an exclusive hold it stays exclusive.
//
// Claims: processes and threads that share its memory, at any address; held by one thread of one
// process, so that neither another thread nor a forked child (however forked) releases it; waiting
// exclusive acquirers go before shared ones; a holder that dies leaves its hold behind; at most
// 65,535 shared holders and 8,191 waiting exclusive acquirers at a time.
// Memory orders: those of futex_rw_lock.h, which excludes; a caller's hold is its own number
// (per_worker.h), which no other worker reads.
// Source: multiprocessing_utils' README, "Shared locks". Its blocking forms are here with the try
// and timed ones that it lacks.
// Not copied: in the real one a release may wait for an exclusive section of somebody else's (here
// it never waits); an interrupted acquire leaves a hold behind that nobody has; a bare fork's child
// of an exclusive holder gets in; a holding thread of a child is forgotten when the forking thread
// first touches the lock.
#pragma once

#include <mutex>
#include <shared_mutex>

#include "locks/reference/futex_rw_lock.h"
#include "locks/reference/lockable.h"
#include "locks/seeds/per_worker.h"

namespace hobbs {

template <class P, bool reentrant>
class BasicSharedLock : public TimedLockable<BasicSharedLock<P, reentrant>, P>,
                        public SharedTimedLockable<BasicSharedLock<P, reentrant>, P> {
 public:
  static constexpr std::uint32_t kMaxDepth = (1u << 31) - 1;
  static constexpr Claims claims = {.reentrant = reentrant,
                                    .fairness = Fairness::kWriterPreference,
                                    .checks_misuse = true,
                                    .max_depth = reentrant ? kMaxDepth : UINT32_MAX,
                                    .across_namespaces = true,
                                    .waits_asleep = true};

  /// Waits until it is held. kReentryRefused and kUpgradeRefused as above, kOutOfRange beyond
  /// kMaxDepth levels, kInterrupted as in interrupt.h; then nothing has changed.
  void acquire(bool exclusive = false) { acquire(exclusive, Patience::forever()); }
  /// Whether it was acquired: at once, or within the timeout (rules: process_patience()).
  [[nodiscard]] bool try_acquire(bool exclusive = false) {
    return acquire(exclusive, Patience::none());
  }
  [[nodiscard]] bool acquire_for(Seconds timeout, bool exclusive = false) {
    return acquire(exclusive, process_patience<P>(true, timeout));
  }
  /// One level less, in whatever mode. kOverRelease unless the caller holds it.
  void release() {
    const std::uint32_t hold = hold_.get();
    if (hold == 0) throw LockError(LockErrorKind::kOverRelease, "lock released too many times");
    if (depth_of(hold) > 1) return hold_.set(hold - 1);
    hold_.set(0);
    if (is_exclusive(hold)) {
      lock_.unlock();
    } else {
      lock_.unlock_shared();
    }
  }

  /// A hold until the end of the guard's life.
  [[nodiscard]] std::unique_lock<BasicSharedLock> exclusive() {
    return std::unique_lock<BasicSharedLock>(*this);
  }
  [[nodiscard]] std::shared_lock<BasicSharedLock> shared() {
    return std::shared_lock<BasicSharedLock>(*this);
  }

  /// How often the caller holds it, and whether exclusively.
  std::uint32_t depth() const { return depth_of(hold_.get()); }
  bool holds_exclusively() const { return is_exclusive(hold_.get()); }
  /// How many hold it: stale by the time it is read.
  std::uint32_t holders() const { return lock_.holders(); }

  bool take(const Patience& patience) { return acquire(true, patience); }
  bool take_shared(const Patience& patience) { return acquire(false, patience); }
  void unlock() {
    if (hold_.get() != 0 && !holds_exclusively()) refuse_mode();
    release();
  }
  /// A shared level within an exclusive hold is a level of that hold.
  void unlock_shared() {
    if (!reentrant && holds_exclusively()) refuse_mode();
    release();
  }

 private:
  // A hold: its depth, and a bit for exclusive; 0 for none.
  static constexpr std::uint32_t kExclusiveBit = 1u << 31;
  static constexpr std::uint32_t depth_of(std::uint32_t hold) { return hold & ~kExclusiveBit; }
  static constexpr bool is_exclusive(std::uint32_t hold) { return (hold & kExclusiveBit) != 0; }

  [[noreturn]] static void refuse_mode() {
    throw LockError(LockErrorKind::kNotOwner, "the caller holds the lock in the other mode");
  }

  bool acquire(bool exclusive, const Patience& patience) {
    if (const std::uint32_t hold = hold_.get(); hold != 0) {
      deepen(hold, exclusive);
      return true;
    }
    if (!(exclusive ? lock_.take(patience) : lock_.take_shared(patience))) return false;
    try {
      hold_.set((exclusive ? kExclusiveBit : 0) | 1);
    } catch (...) {  // No memory to remember it by.
      exclusive ? lock_.unlock() : lock_.unlock_shared();
      throw;
    }
    return true;
  }
  void deepen(std::uint32_t hold, bool exclusive) {
    if (exclusive && !is_exclusive(hold)) {
      throw LockError(LockErrorKind::kUpgradeRefused, "Cannot upgrade from shared to exclusive");
    }
    if (!reentrant) throw LockError(LockErrorKind::kReentryRefused, "Lock not re-entrant");
    if (depth_of(hold) == kMaxDepth) {
      throw LockError(LockErrorKind::kOutOfRange, "acquired too deeply");
    }
    hold_.set(hold + 1);
  }

  FutexRwLock<P, true> lock_;
  PerWorker<P> hold_;
};

template <class P>
using SharedLock = BasicSharedLock<P, false>;
template <class P>
using SharedReentrantLock = BasicSharedLock<P, true>;

}  // namespace hobbs
