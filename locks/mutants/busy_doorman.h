// Broken: whoever releases is asked for its name only while nobody waits.
//
// Lesson: a check that stands on the fast path alone is no check. A stranger's release lets a
// waiter in beside the holder. Needs a holder, a waiter and a stranger. Breaks MU-2.
#pragma once

#include <atomic>
#include <cstdint>

#include "locks/lock.h"

namespace hobbs::mutants {

template <class P>
class BusyDoorman {
 public:
  static constexpr Claims claims{.checks_misuse = true};

  void lock() {
    std::uint32_t seen = 0;
    if (!word_.compare_exchange_strong(seen, 1, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      while (word_.exchange(2, std::memory_order_acquire) != 0) P::futex_wait(word_, 2);
    }
    owner_.store(P::self(), std::memory_order_relaxed);
  }
  Outcome unlock() {
    const bool mine = owner_.load(std::memory_order_relaxed) == P::self();
    const bool waited_for = word_.load(std::memory_order_relaxed) == 2;
    if (!mine && !waited_for) return Outcome::kNotOwner;  // BUG: not if somebody waits.
    owner_.store(0, std::memory_order_relaxed);
    if (word_.exchange(0, std::memory_order_release) == 2) P::futex_wake(word_, 1);
    return Outcome::kReleased;
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
  typename P::template atomic<std::uint32_t> owner_{};
};

}  // namespace hobbs::mutants
