// Broken: wakes only when the count leaves zero.
//
// Lesson: two releases in a row with two sleepers: the second sees a count of one, wakes nobody,
// and a permit lies about while somebody sleeps. Needs two permits and two sleepers. Breaks LV-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class StingySemaphore {
 public:
  static constexpr char kind[] = "semaphore";
  static constexpr unsigned capacity = 2;

  void lock() {
    std::uint32_t used = used_.load(std::memory_order_relaxed);
    while (true) {
      if (used >= capacity) {
        P::futex_wait(used_, used);
        used = used_.load(std::memory_order_relaxed);
      } else if (used_.compare_exchange_strong(used, used + 1, std::memory_order_acquire,
                                               std::memory_order_relaxed)) {
        return;
      }
    }
  }
  void unlock() {
    if (used_.fetch_sub(1, std::memory_order_release) == capacity) {
      P::futex_wake(used_, 1);  // BUG: the next release comes at capacity - 1 and wakes nobody.
    }
  }

 private:
  typename P::template atomic<std::uint32_t> used_{};
};

}  // namespace hobbs::mutants
