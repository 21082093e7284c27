// Broken: a try that writes before it knows.
//
// Lesson: the exchange wipes the mark "somebody sleeps", and putting back what it read may come too
// late. Only a mix of lock() and try_lock() shows it. Breaks LV-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class RudeTry {
 public:
  void lock() {
    std::uint32_t free = 0;
    if (word_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      return;
    }
    while (word_.exchange(2, std::memory_order_acquire) != 0) P::futex_wait(word_, 2);
  }
  bool try_lock() {
    return word_.exchange(1, std::memory_order_acquire) == 0;
  }  // BUG: 2 becomes 1.
  void unlock() {
    if (word_.exchange(0, std::memory_order_release) == 2) P::futex_wake(word_, 1);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
