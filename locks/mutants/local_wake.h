// Broken: claims to work between processes, but sleeps on a private futex.
//
// Lesson: a private futex is keyed by the address in one process. Threads never notice; a waiter in
// another process is never woken. Topology is part of the scenario. Breaks LV-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class LocalWake {
 public:
  void lock() {
    while (word_.exchange(1, std::memory_order_acquire) != 0) P::futex_wait_private(word_, 1);
  }
  void unlock() {
    word_.store(0, std::memory_order_release);
    P::futex_wake_private(word_, 1);  // BUG: reaches the waiters of this process only.
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
