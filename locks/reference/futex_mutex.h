// Three-state futex mutex with timed acquire.
//
//   state              lock                   try_lock      timeout        unlock
//   0 free             1, acquired            1, acquired   -              invalid
//   1 held             2, sleeps              false         2, false       0
//   2 held, waiters?   2, sleeps              false         2, false       0, wakes one
//   woken, finds 0     2, acquired            -             -              -
//
// A waiter that was woken acquires in state 2, because others may sleep still: at worst the next
// unlock wakes nobody. For the same reason a timeout may leave 2 behind while the lock is held.
//
// Memory orders. Both ways in, the compare-exchange and the exchange that read 0, are acquires of
// the word that unlock()'s exchange released. A failed compare-exchange and the waiting reads are
// relaxed: they decide only what to try next. No wake is lost: the sleeper's exchange wrote 2, and
// the kernel compares the word with 2 under its own lock before it puts the sleeper to bed; the
// unlocker's exchange either comes first (no sleep) or reads 2 (and wakes).
// unlock() touches only the address after its exchange: the next holder may destroy the mutex.
//
// Claims: no fairness; zero bytes when free; a timeout never fails on a free lock.
// Source: U. Drepper, "Futexes Are Tricky", 2011, mutex2/mutex3.
#pragma once

#include <optional>

#include "locks/lock.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class FutexMutex : public TimedLocking<FutexMutex<P>, P> {
 public:
  static constexpr Claims claims{
      .pristine_when_free = true, .zero_is_free = true, .waits_asleep = true};

  void lock() {
    if (!try_lock()) wait(std::nullopt);
  }
  bool try_lock() {
    std::uint32_t free = kFree;
    return word_.compare_exchange_strong(free, kHeld, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  bool try_lock_until(typename P::time_point deadline) { return try_lock() || wait(deadline); }
  using TimedLocking<FutexMutex, P>::try_lock_until;
  void unlock() {
    if (word_.exchange(kFree, std::memory_order_release) == kContended) P::futex_wake(word_, 1);
  }

 private:
  static constexpr std::uint32_t kFree = 0, kHeld = 1, kContended = 2;
  static constexpr std::uint32_t kSpins = 400;

  bool wait(std::optional<typename P::time_point> deadline) {
    for (std::uint32_t n = spin_limit<P>(kSpins); n > 0; --n) {
      if (word_.load(std::memory_order_relaxed) == kFree && try_lock()) return true;
      P::pause();
    }
    bool expired = false;
    while (word_.exchange(kContended, std::memory_order_acquire) != kFree) {
      if (expired) return false;
      expired = P::futex_wait(word_, kContended, deadline) == P::wait_result::timed_out;
    }
    return true;
  }

  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs
