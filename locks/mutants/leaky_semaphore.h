// Broken: a timed acquire that gives up has counted itself in already.
//
// Lesson: after a timeout nothing may be left behind. One permit is gone for good, which shows only
// when all have come to rest. Breaks TO-5 (or LV-1).
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class LeakySemaphore {
 public:
  static constexpr char kind[] = "semaphore";
  static constexpr unsigned capacity = 1;

  void lock() {
    while (!take()) P::futex_wait(used_, 1);
  }
  bool try_lock_until(typename P::time_point deadline) {
    while (!take()) {
      if (P::futex_wait(used_, 1, deadline) == P::wait_result::timed_out) {
        used_.store(1,
                    std::memory_order_relaxed);  // BUG: "restores" a permit that others gave back.
        return false;
      }
    }
    return true;
  }
  void unlock() {
    used_.store(0, std::memory_order_release);
    P::futex_wake(used_, 1);
  }

 private:
  bool take() {
    std::uint32_t none = 0;
    return used_.compare_exchange_strong(none, 1, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  typename P::template atomic<std::uint32_t> used_{};
};

}  // namespace hobbs::mutants
