// Counting semaphore: kPermits at first, released by anyone, timed, in one futex word.
//
//   state (used, waiters)      lock                       timeout         unlock
//   used < permits             used+1, acquired           -               used-1
//   used = permits, w = 0      w+1, sleeps                -               used-1
//   used = permits, w > 0      w+1, sleeps                w-1, false      used-1, wakes one
//   woken, used < permits      used+1, w-1, acquired      the same        -
//
// `used` may be negative: releases count above the initial permits, down to kFewest, below which
// unlock() refuses (kOverRelease). Counting waiters in the same word makes each release one step:
// it sees them or they see it, and once it has happened nothing of the semaphore is touched but
// the word's address. Each release wakes one waiter, so two releases never share a wake; a waiter
// that times out takes a permit that is there rather than leave it to nobody.
//
// Memory orders. Taking a permit is an acquire, giving one back a release; all changes are
// read-modify-writes, so every taker synchronises with every earlier release of the same chain.
// Registering, leaving and the waiting reads are relaxed: they carry no data.
//
// Claims: any worker releases; counts above the permits; no fairness; zero bytes when all permits
// are there and nobody waits.
// Source: E. Dijkstra, EWD 123, 1965; the single word that avoids touching a destroyed semaphore:
// glibc bug 12674.
#pragma once

#include <optional>

#include "locks/lock.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P, std::uint32_t kPermits>
class CountingSemaphore : public TimedLocking<CountingSemaphore<P, kPermits>, P> {
 public:
  static constexpr Claims claims{.releaser = Releaser::kAnyone,
                                 .semaphore = true,
                                 .permits = kPermits,
                                 .counts_above_permits = true,
                                 .pristine_when_free = true};

  void lock() {
    if (!try_lock()) wait(std::nullopt);
  }
  bool try_lock() {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    while (is_available(word)) {
      if (take(word, 0)) return true;
    }
    return false;
  }
  bool try_lock_until(typename P::time_point deadline) { return try_lock() || wait(deadline); }
  using TimedLocking<CountingSemaphore, P>::try_lock_until;

  /// kReleased; kOverRelease, and nothing has changed, if the count cannot go higher.
  Outcome unlock() {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    do {
      if (used(word) == kFewest) return Outcome::kOverRelease;
    } while (!word_.compare_exchange_weak(word, with_used(word, used(word) - 1),
                                          std::memory_order_release, std::memory_order_relaxed));
    if (word >= kOneWaiter) P::futex_wake(word_, 1);
    return Outcome::kReleased;
  }

 private:
  // The low 24 bits are `used`, in two's complement; the high 8 count waiters.
  static constexpr std::uint32_t kOneWaiter = 1u << 24;
  static constexpr std::int32_t kFewest = -(1 << 23);
  static constexpr std::uint32_t kSpins = 400;
  static_assert(kPermits > 0 && kPermits < (1u << 23) && kMaxWorkers < 256);

  static constexpr std::int32_t used(std::uint32_t word) {
    return static_cast<std::int32_t>(word << 8) >> 8;
  }
  static constexpr std::uint32_t with_used(std::uint32_t word, std::int32_t used) {
    return (word & ~(kOneWaiter - 1)) | (static_cast<std::uint32_t>(used) & (kOneWaiter - 1));
  }
  static constexpr bool is_available(std::uint32_t word) {
    return used(word) < static_cast<std::int32_t>(kPermits);
  }

  /// Takes one permit of `word`, and signs off as a waiter if `waiter` is kOneWaiter.
  bool take(std::uint32_t& word, std::uint32_t waiter) {
    return word_.compare_exchange_strong(word, with_used(word, used(word) + 1) - waiter,
                                         std::memory_order_acquire, std::memory_order_relaxed);
  }

  bool wait(std::optional<typename P::time_point> deadline) {
    for (std::uint32_t n = spin_limit<P>(kSpins); n > 0; --n) {
      if (try_lock()) return true;
      P::pause();
    }
    std::uint32_t word = word_.fetch_add(kOneWaiter, std::memory_order_relaxed) + kOneWaiter;
    for (bool expired = false;;) {
      if (is_available(word)) {
        if (take(word, kOneWaiter)) return true;
      } else if (expired) {
        if (word_.compare_exchange_strong(word, word - kOneWaiter, std::memory_order_relaxed,
                                          std::memory_order_relaxed)) {
          return false;
        }
      } else {
        expired = P::futex_wait(word_, word, deadline) == P::wait_result::timed_out;
        word = word_.load(std::memory_order_relaxed);
      }
    }
  }

  typename P::template atomic<std::uint32_t> word_{};
};

template <class P>
using BinarySemaphore = CountingSemaphore<P, 1>;
template <class P>
using PairSemaphore = CountingSemaphore<P, 2>;

}  // namespace hobbs
