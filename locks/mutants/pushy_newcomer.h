// Broken: a ticket lock with a fast path that takes the lock whenever nobody is inside.
//
// Lesson: the line is kept by everybody or by nobody. Between one holder's release and the next
// one's entry the lock is free for a moment, and a newcomer who asks for nothing but that passes
// everybody who waits, for ever if it comes often. First come, first served is claimed. Breaks
// FA-3.
#pragma once

#include <atomic>
#include <cstdint>

#include "locks/lock.h"

namespace hobbs::mutants {

template <class P>
class PushyNewcomer {
 public:
  static constexpr Claims claims{.fairness = Fairness::kFifo};

  void lock() {
    if (take()) return;  // BUG: whoever has a ticket came before.
    const std::uint32_t ticket = next_.fetch_add(1, std::memory_order_relaxed);
    while (serving_.load(std::memory_order_acquire) != ticket) P::pause();
    while (!take()) P::pause();
    serving_.store(ticket + 1, std::memory_order_release);
  }
  void unlock() { held_.store(0, std::memory_order_release); }

 private:
  bool take() {
    std::uint32_t free = 0;
    return held_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }

  typename P::template atomic<std::uint32_t> held_{}, next_{}, serving_{};
};

}  // namespace hobbs::mutants
