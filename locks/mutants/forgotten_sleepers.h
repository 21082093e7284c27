// Broken: a woken waiter acquires in the state "nobody sleeps".
//
// Lesson: it needs three workers. Two sleep; the first is woken and takes the lock as if it were
// uncontended; its release wakes nobody. Breaks LV-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class ForgottenSleepers {
 public:
  void lock() {
    std::uint32_t seen = 0;
    while (!word_.compare_exchange_strong(seen, 1,
                                          std::memory_order_acquire,  // BUG: 2 after a wait.
                                          std::memory_order_relaxed)) {
      if (seen == 2 || word_.compare_exchange_strong(seen, 2, std::memory_order_relaxed,
                                                     std::memory_order_relaxed)) {
        P::futex_wait(word_, 2);
      }
      seen = 0;
    }
  }
  void unlock() {
    if (word_.exchange(0, std::memory_order_release) == 2) P::futex_wake(word_, 1);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
