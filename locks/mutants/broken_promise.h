// Broken: a mutex whose starving waiter reserves the next turn, which the fast path does not ask
// for.
//
// Lesson: a bound on bypass is worth what the fastest way in respects. Each test in which a
// newcomer comes once passes; when the same one comes again, the waiter has been passed twice. At
// most once is claimed. Breaks FA-4.
#pragma once

#include <atomic>
#include <cstdint>

#include "locks/lock.h"

namespace hobbs::mutants {

template <class P>
class BrokenPromise {
 public:
  static constexpr Claims claims{.fairness = Fairness::kBoundedBypass, .bypass_bound = 1};

  void lock() {
    if (take()) return;  // BUG: does not look at reserved_.
    for (;;) {
      reserve();
      const std::uint32_t first = reserved_.load(std::memory_order_relaxed);
      if (first == P::self() && take()) break;
      P::pause();
    }
    reserved_.store(0, std::memory_order_relaxed);
  }
  void unlock() { held_.store(0, std::memory_order_release); }

 private:
  bool take() {
    std::uint32_t free = 0;
    return held_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  void reserve() {
    std::uint32_t nobody = 0;
    reserved_.compare_exchange_strong(nobody, P::self(), std::memory_order_relaxed);
  }

  typename P::template atomic<std::uint32_t> held_{}, reserved_{};
};

}  // namespace hobbs::mutants
