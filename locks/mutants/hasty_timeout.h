// Broken: gives up whenever the wait ends without a wake.
//
// Lesson: a futex wait that finds the word changed returns at once (EAGAIN). A timed acquire may
// end unsuccessful only at its deadline. Breaks TO-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class HastyTimeout {
 public:
  void lock() {
    while (word_.exchange(2, std::memory_order_acquire) != 0) P::futex_wait(word_, 2);
  }
  bool try_lock_until(typename P::time_point deadline) {
    while (word_.exchange(2, std::memory_order_acquire) != 0) {
      if (P::futex_wait(word_, 2, deadline) != P::wait_result::woken) return false;  // BUG
    }
    return true;
  }
  void unlock() {
    word_.store(0, std::memory_order_release);
    P::futex_wake(word_, 1);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
