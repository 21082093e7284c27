// Broken: wakes before it lets go.
//
// Lesson: the woken worker may look at the word, find it taken and go back to sleep before the
// store; nobody wakes it again. In an endless loop the next release heals it, so rounds must come
// to rest. Breaks LV-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class EarlyWake {
 public:
  void lock() {
    while (word_.exchange(1, std::memory_order_acquire) != 0) P::futex_wait(word_, 1);
  }
  void unlock() {
    P::futex_wake(word_, 1);  // BUG: belongs behind the store.
    word_.store(0, std::memory_order_release);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
