// The semaphore that Python's multiprocessing counts in: glibc's sem_t, byte for byte.
//
//   state (value, waiters)   take                          timeout, signal   give
//   value > 0                value-1                       -                 value+1, or refused
//   value = 0                waiters+1, sleeps             waiters-1         value+1, wakes one if
//   woken, value > 0         value-1, waiters-1            the same          anybody waits
//
// Both counts stand in one 64-bit word, the value in its low half, on which the sleepers sleep. So
// giving is one step that sees every waiter or is seen by it, and after it nothing is touched but
// the word's address: the next holder may free the memory. Each give wakes one; a waiter that is
// woken and finds the value gone sleeps again, still counted, so that whoever took it wakes it when
// giving back. A waiter whose time is up takes what is there rather than leave a wake to nobody.
//
// A program's sem_wait(3) and sem_post(3) and these calls work on one object together: the same
// word, the same steps, the same futex (process-shared). Here giving checks the bound in the step
// itself; sem_post does not, which is why the real locks can be released twice for one hold.
//
// Memory orders. Taking is an acquire, giving a release; all changes are read-modify-writes of the
// one word, so a taker synchronises with every give before it. Registering and leaving as a waiter
// and the looks are relaxed: they carry no data.
//
// Source: sem_overview(7); glibc 2.36, nptl (the layout since 2.21); glibc bug 12674.
#pragma once

#include <semaphore.h>

#include <bit>
#include <new>

#include "locks/real_platform.h"
#include "locks/reference/interrupt.h"
#include "locks/reference/patience.h"

namespace hobbs {

template <class P>
class alignas(sem_t) SemaphoreWord {
 public:
  static constexpr std::uint32_t kValueMax = 0x7fffffff;  // SEM_VALUE_MAX.

  /// LockError (EINVAL) if `value` exceeds kValueMax.
  explicit SemaphoreWord(std::uint32_t value) : data_(value) {
    if (value > kValueMax) throw LockError(EINVAL, "the semaphore's first value is too large");
  }

  /// Whether one was taken: always, if the patience has no end. kInterrupted as in interrupt.h.
  bool take(const Patience& patience) {
    std::uint64_t seen = data_.load(std::memory_order_relaxed);
    while (value_of(seen) != 0) {
      if (take_one(seen, 0)) return true;
    }
    return patience.block && wait(patience.deadline);
  }

  /// False, and nothing changed, if the value is `most` or more.
  bool give(std::uint32_t most) {
    std::uint64_t seen = data_.load(std::memory_order_relaxed), next;
    do {
      // A refusal is a step, too: a look alone may be of an old value.
      next = value_of(seen) < most ? seen + 1 : seen;
    } while (!data_.compare_exchange_weak(seen, next, std::memory_order_release,
                                          std::memory_order_relaxed));
    if (next == seen) return false;
    if (seen >= kOneWaiter) P::futex_wake(futex(), 1);
    return true;
  }

  std::uint32_t value() const { return value_of(data_.load(std::memory_order_relaxed)); }

 private:
  using Futex = typename P::template atomic<std::uint32_t>;
  static constexpr std::uint64_t kOneWaiter = std::uint64_t{1} << 32;

  static constexpr std::uint32_t value_of(std::uint64_t data) {
    return static_cast<std::uint32_t>(data);
  }
  /// The address of the value's half; its type only names a futex, nothing is read through it.
  Futex& futex() { return *std::launder(reinterpret_cast<Futex*>(&data_)); }

  /// Takes one of `seen`, and signs off as a waiter if `waiter` is kOneWaiter.
  bool take_one(std::uint64_t& seen, std::uint64_t waiter) {
    return data_.compare_exchange_strong(seen, seen - 1 - waiter, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }

  bool wait(const std::optional<SteadyTime>& deadline) {
    std::uint64_t seen = data_.fetch_add(kOneWaiter, std::memory_order_relaxed) + kOneWaiter;
    for (bool expired = false;;) {
      if (value_of(seen) != 0) {
        if (take_one(seen, kOneWaiter)) return true;
      } else if (expired) {
        if (leave(seen)) return false;
      } else if (wait_is_interrupted()) {
        while (!leave(seen)) continue;
        throw_interrupted();
      } else {
        expired = P::futex_wait(futex(), 0, deadline) == P::wait_result::timed_out;
        seen = data_.load(std::memory_order_relaxed);
      }
    }
  }
  bool leave(std::uint64_t& seen) {
    return data_.compare_exchange_strong(seen, seen - kOneWaiter, std::memory_order_relaxed,
                                         std::memory_order_relaxed);
  }

  typename P::template atomic<std::uint64_t> data_;
  std::uint32_t kind_ = 128;  // glibc's mark of a process-shared one.
  std::uint32_t unused_[5] = {};
};

static_assert(std::endian::native == std::endian::little &&
                  sizeof(SemaphoreWord<RealPlatform>) == sizeof(sem_t),
              "sem_t is known to look like this on 64-bit little-endian Linux");

}  // namespace hobbs
