// A lock of one's own: a word that is 1 while held. Waiters sleep in the kernel.
#pragma once

#include <atomic>
#include <cstdint>

namespace my {

template <class P>
struct healthy_lock {
  static constexpr char kind[] = "mutex";

  void lock() {
    // Whoever has to wait leaves 2 behind, so that the release knows whom to wake.
    if (try_lock()) return;
    while (word.exchange(2, std::memory_order_acquire) != 0) P::futex_wait(word, 2);
  }

  bool try_lock() {
    std::uint32_t free = 0;
    return word.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                        std::memory_order_relaxed);
  }

  void unlock() {
    if (word.exchange(0, std::memory_order_release) == 2) P::futex_wake(word, 1);
  }

  typename P::template atomic<std::uint32_t> word;
};

}  // namespace my
