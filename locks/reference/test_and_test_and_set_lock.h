// Test-and-test-and-set spin lock with bounded exponential back-off, and a polling timed form.
//
//   state   lock / try_lock_until          try_lock         unlock
//   0 free  1, acquired                    1, acquired      invalid
//   1 held  reads until 0 (or deadline)    1, false         0
//
// Memory orders. The waiting reads are relaxed: they only decide when the exchange is worth trying.
// The exchange is an acquire and unlock() a release, as in TestAndSetLock; all ordering between
// sections goes through these two.
//
// Claims: no fairness; zero bytes when free; a timeout leaves no trace, since waiting writes
// nothing. Source: L. Rudolph and Z. Segall, "Dynamic decentralized cache schemes for MIMD parallel
// processors", ISCA 1984; back-off: T. Anderson, "The performance of spin lock alternatives for
// shared-memory multiprocessors", IEEE TPDS 1(1), 1990.
#pragma once

#include "locks/lock.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class TestAndTestAndSetLock : public TimedLocking<TestAndTestAndSetLock<P>, P> {
 public:
  static constexpr Claims claims{.pristine_when_free = true, .zero_is_free = true};

  void lock() {
    std::uint32_t delay = 1;
    while (!try_lock()) back_off(delay);
  }
  bool try_lock() {
    return word_.load(std::memory_order_relaxed) == 0 &&
           word_.exchange(1, std::memory_order_acquire) == 0;
  }
  bool try_lock_until(typename P::time_point deadline) {
    std::uint32_t delay = 1;
    while (!try_lock()) {
      if (P::now() >= deadline) return false;
      back_off(delay);
    }
    return true;
  }
  using TimedLocking<TestAndTestAndSetLock, P>::try_lock_until;
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  /// Each failure doubles the wait, so that a release is not met by everybody at once; the bound
  /// keeps a waiter from sleeping through a lock that has become free.
  static void back_off(std::uint32_t& delay) {
    constexpr std::uint32_t kLongestDelay = 64;
    pause_for<P>(delay);
    if (delay < kLongestDelay) delay *= 2;
  }

  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs
