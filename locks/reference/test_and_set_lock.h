// Test-and-set spin lock.
//
//   state   lock             try_lock         unlock
//   0 free  1, acquired      1, acquired      invalid
//   1 held  spins            1, false         0
//
// Memory orders. The exchange that reads 0 is an acquire: it reads what the previous holder's
// release store wrote (or the initial zero), so everything that holder did is visible. The
// exchange that reads 1 needs no order, and has one only because the outcome is not known before.
// unlock() is a release: the section's accesses stay before it.
//
// Claims: no fairness; the bytes are zero whenever it is free.
// Source: the oldest of them; A. Agarwal and M. Cherian, "Adaptive backoff synchronization
// techniques", ISCA 1989, and Herlihy and Shavit, "The Art of Multiprocessor Programming", 7.2.
#pragma once

#include "locks/lock.h"

namespace hobbs {

template <class P>
class TestAndSetLock {
 public:
  static constexpr Claims claims{.pristine_when_free = true, .zero_is_free = true};

  void lock() {
    while (!try_lock()) P::pause();
  }
  bool try_lock() { return word_.exchange(1, std::memory_order_acquire) == 0; }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs
