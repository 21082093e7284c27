// Broken: a release looks whether a permit is out, and then takes it back in another step.
//
// Lesson: of two releases that come at once for the last permit both see it, both are let through,
// and the count is below nothing: nobody gets in any more. Needs a release too many, beside another
// one. Breaks TR-2, LV-1.
#pragma once

#include <atomic>
#include <cstdint>

#include "locks/lock.h"

namespace hobbs::mutants {

template <class P>
class CredulousSemaphore {
 public:
  static constexpr Claims claims{
      .releaser = Releaser::kAnyone, .semaphore = true, .permits = 2, .bounded_release = true};

  void lock() {
    std::uint32_t used = used_.load(std::memory_order_relaxed);
    while (true) {
      if (used >= claims.permits) {
        P::futex_wait(used_, used);
        used = used_.load(std::memory_order_relaxed);
      } else if (used_.compare_exchange_strong(used, used + 1, std::memory_order_acquire,
                                               std::memory_order_relaxed)) {
        return;
      }
    }
  }
  bool try_lock() {
    std::uint32_t used = used_.load(std::memory_order_relaxed);
    while (used < claims.permits) {
      if (used_.compare_exchange_strong(used, used + 1, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  Outcome unlock() {
    if (used_.load(std::memory_order_relaxed) == 0) return Outcome::kOverRelease;
    used_.fetch_sub(1, std::memory_order_release);  // BUG: it may be 0 by now.
    P::futex_wake(used_, 1);
    return Outcome::kReleased;
  }

 private:
  typename P::template atomic<std::uint32_t> used_{};
};

}  // namespace hobbs::mutants
