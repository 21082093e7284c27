// Phase-fair readers-writer lock, timed: reader phases and writer phases alternate while both wait.
//
//   state (r inside, R and w waiting)    shared acquire          exclusive acquire
//   free                                 r=1                     W
//   r readers, w=0                       r+1                     w+1, queues
//   r readers, w>0                       R+1, waits              w+1, queues
//   W                                    R+1, waits              w+1, queues
//
//   release, exclusive:  R>0: r=R, R=0, phase flips: all waiting readers are inside, at once;
//                        R=0, w>0: W passes to the head of the writers' queue; else free
//   release, shared:     r-1; the last one, w>0: W passes to the head of the writers' queue
//   downgrade:           W -> r=1, and as the exclusive release for R>0
//   timeout, shared:     R-1, unless it has been let in meanwhile
//   timeout, exclusive:  w-1; w=0, no W: wakes the readers that it barred, who let themselves in.
//                        The only one that waits, and W has been passed: takes it.
//
// All counts are in one futex word, since no count exceeds 64. Writers queue in a HandoffMutex, so
// that the one at its head, and one at a time, waits at the word; it leaves the queue as soon as it
// is inside. A passed W (bit H) belongs to nobody yet, but the lock is not free: nobody barges in.
// A waiting reader knows by the phase bit that it has been let in. One bit is enough: it then is
// counted in r, so that the phase cannot flip again before it has left.
// S and waking are as in futex_rw_lock.h: set by who sleeps, cleared by every change that lets
// anybody in, who then wakes all. After its step a release touches only the word's address.
//
// Memory orders. Every step that enters is an acquire, among them the load that finds the phase
// flipped; every release is one, also when it passes W on or lets readers in. All changes are
// read-modify-writes, so release sequences never break. Registering, giving up, setting S and the
// waiting reads of a writer are relaxed.
//
// Claims: phase-fair. (1) While readers and writers wait, phases alternate; (2) writers enter in
// the order in which they queue; (3) a reader phase admits all readers waiting at its begin; (4)
// none that comes after, while a writer waits. A writer that times out is taken out of the count
// as if it had never come. Zero bytes when free.
// Source: B. Brandenburg and J. Anderson, "Spin-based reader-writer synchronization for
// multiprocessor real-time systems", Real-Time Systems 46(1), 2010 (their locks spin, and have no
// timeouts; the four properties are theirs).
#pragma once

#include <climits>
#include <optional>

#include "locks/lock.h"
#include "locks/reference/handoff_mutex.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class PhaseFairLock : public TimedLocking<PhaseFairLock<P>, P>,
                      public TimedSharedLocking<PhaseFairLock<P>, P> {
 public:
  using Deadline = std::optional<typename P::time_point>;
  static constexpr Claims claims{
      .fairness = Fairness::kPhaseFair, .pristine_when_free = true, .waits_asleep = true};

  void lock() {
    if (!try_lock()) wait_exclusive(std::nullopt);
  }
  bool try_lock() {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    while ((word & (kWriter | kReaders)) == 0) {
      if (change(word, word + kWriter, std::memory_order_acquire)) return true;
    }
    return false;
  }
  bool try_lock_until(typename P::time_point deadline) {
    return try_lock() || (P::now() < deadline && wait_exclusive(deadline));
  }
  using TimedLocking<PhaseFairLock, P>::try_lock_until;
  void unlock() { end_exclusive(0); }
  /// Exclusive to shared, atomically; never waits. Waiting readers come in too.
  void downgrade() { end_exclusive(1); }

  void lock_shared() {
    if (!try_lock_shared()) wait_shared(std::nullopt);
  }
  bool try_lock_shared() {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    while ((word & kBarsReaders) == 0) {
      if (change(word, word + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }
  bool try_lock_shared_until(typename P::time_point deadline) {
    return try_lock_shared() || (P::now() < deadline && wait_shared(deadline));
  }
  using TimedSharedLocking<PhaseFairLock, P>::try_lock_shared_until;
  void unlock_shared() {
    std::uint32_t word = word_.load(std::memory_order_relaxed), next;
    do {
      next = word - 1;
      if ((next & kReaders) == 0) {
        next &= ~kSleepers;
        if ((next & kWaitingWriters) != 0) next |= kWriter | kHandedOver;
        if ((next & ~kPhase) == 0) next = 0;
      }
    } while (!change(word, next, std::memory_order_release));
    wake_if_cleared(word, next);
  }

 private:
  // Three counts of 8 bits, none above kMaxWorkers, and four flags.
  static constexpr std::uint32_t kReaders = 0xff, kWaitingReaders = 0xff00,
                                 kOneWaitingReader = 0x100, kWaitingWriters = 0xff0000,
                                 kOneWaitingWriter = 0x10000;
  static constexpr std::uint32_t kPhase = 1u << 24, kHandedOver = 1u << 29, kSleepers = 1u << 30,
                                 kWriter = 1u << 31;
  static constexpr std::uint32_t kBarsReaders = kWriter | kWaitingWriters;
  static constexpr std::uint32_t kSpins = 400;
  static_assert(kMaxWorkers <= kReaders);

  bool change(std::uint32_t& word, std::uint32_t next, std::memory_order success) {
    return word_.compare_exchange_strong(word, next, success, std::memory_order_relaxed);
  }
  void wake_if_cleared(std::uint32_t word, std::uint32_t next) {
    if ((word & ~next & kSleepers) != 0) P::futex_wake(word_, INT_MAX);
  }

  /// The writer leaves, or stays as a reader (`remaining` is 1).
  void end_exclusive(std::uint32_t remaining) {
    std::uint32_t word = word_.load(std::memory_order_relaxed), next;
    do {
      next = word & ~kSleepers;
      if ((word & kWaitingReaders) != 0) {
        next = ((next & ~(kWriter | kWaitingReaders)) ^ kPhase) + (next & kWaitingReaders) / 0x100;
      } else if (remaining == 0 && (word & kWaitingWriters) != 0) {
        next |= kHandedOver;
      } else {
        next &= ~(kWriter | kPhase);
      }
      next += remaining;
    } while (!change(word, next, std::memory_order_release));
    wake_if_cleared(word, next);
  }

  /// Pauses while `looks` last, then sleeps unless the word changes. True if the deadline has
  /// passed.
  bool rest(std::uint32_t word, std::uint32_t& looks, Deadline deadline) {
    if (looks > 0) {
      --looks;
      P::pause();
      return false;
    }
    if ((word & kSleepers) == 0 && !change(word, word | kSleepers, std::memory_order_relaxed)) {
      return false;
    }
    return P::futex_wait(word_, word | kSleepers, deadline) == P::wait_result::timed_out;
  }

  bool wait_shared(Deadline deadline) {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      if ((word & kBarsReaders) == 0) {
        if (change(word, word + 1, std::memory_order_acquire)) return true;
      } else if (change(word, word + kOneWaitingReader, std::memory_order_relaxed)) {
        break;
      }
    }
    const std::uint32_t phase = word & kPhase;
    std::uint32_t looks = spin_limit<P>(kSpins);
    for (bool expired = false;;) {
      word = word_.load(std::memory_order_acquire);
      if ((word & kPhase) != phase) return true;
      if ((word & kBarsReaders) == 0) {
        const std::uint32_t next = word - kOneWaitingReader + 1;
        if (change(word, next, std::memory_order_acquire)) return true;
      } else if (expired) {
        if (change(word, word - kOneWaitingReader, std::memory_order_relaxed)) return false;
      } else {
        expired = rest(word, looks, deadline);
      }
    }
  }

  bool wait_exclusive(Deadline deadline) {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      if ((word & (kWriter | kReaders)) == 0) {
        if (change(word, word + kWriter, std::memory_order_acquire)) return true;
      } else if (change(word, word + kOneWaitingWriter, std::memory_order_relaxed)) {
        break;
      }
    }
    if (!deadline) queue_.lock();
    if (!deadline || queue_.try_lock_until(*deadline)) {
      const bool entered = wait_at_head(deadline);
      queue_.unlock();
      if (entered) return true;
    }
    return give_up_exclusive();
  }

  bool wait_at_head(Deadline deadline) {
    std::uint32_t looks = spin_limit<P>(kSpins);
    for (bool expired = false;;) {
      std::uint32_t word = word_.load(std::memory_order_relaxed);
      if ((word & kHandedOver) != 0) {
        if (take_over(word)) return true;
      } else if (expired) {
        return false;
      } else {
        expired = rest(word, looks, deadline);
      }
    }
  }
  bool take_over(std::uint32_t& word) {
    return change(word, (word & ~kHandedOver) - kOneWaitingWriter, std::memory_order_acquire);
  }

  /// False, and no longer counted as waiting; or true: the lock had already been passed on, and
  /// there is nobody else to take it.
  bool give_up_exclusive() {
    std::uint32_t word = word_.load(std::memory_order_relaxed), next;
    do {
      while ((word & kHandedOver) != 0 && (word & kWaitingWriters) == kOneWaitingWriter) {
        if (take_over(word)) return true;
      }
      next = word - kOneWaitingWriter;
      if ((next & kBarsReaders) == 0) next &= ~kSleepers;
    } while (!change(word, next, std::memory_order_relaxed));
    wake_if_cleared(word, next);
    return false;
  }

  typename P::template atomic<std::uint32_t> word_{};
  HandoffMutex<P> queue_;
};

}  // namespace hobbs
