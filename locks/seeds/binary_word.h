// One 32-bit word that is taken or free, with sleeping: the body of the thread locks.
//
//   word        try/take                    give
//   0 free      1 (or 2 after sleeping)     refused: false
//   1 taken     2, sleep, again             0
//   2 taken,    sleep, again                0, wake one
//     sleepers
//
// Orders: the exchange or compare-exchange that takes is acquire, the exchange that gives is
// release, so the sections of two holders are ordered by the word. A waiter writes 2 before each
// sleep, and the kernel compares with 2, so a give between the two makes the sleep return at once.
// Whoever slept takes with 2, as others may still sleep; whoever gives up has left 2 behind, so no
// later give forgets them. Giving is one exchange; the word is not touched after it, so the memory
// may be freed by the next holder.
//
// Source: U. Drepper, "Futexes are tricky" (2011), the third mutex, with the release made an
// exchange so that releasing a free lock is seen, and never made by two callers at once.
#pragma once

#include "locks/reference/interrupt.h"
#include "locks/reference/patience.h"

namespace hobbs {

/// For the threads of one process.
template <class P>
class BinaryWord {
 public:
  /// Whether it was taken: always, if the patience has no end. kInterrupted as in interrupt.h.
  bool take(const Patience& patience) {
    std::uint32_t seen = kFree;
    if (word_.compare_exchange_strong(seen, kTaken, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      return true;
    }
    if (!patience.block) return false;
    for (;;) {
      if (word_.exchange(kSleepers, std::memory_order_acquire) == kFree) return true;
      if (patience.deadline && P::now() >= *patience.deadline) return false;
      throw_if_interrupted();
      if (sleep(patience.deadline) == P::wait_result::interrupted) throw_if_interrupted();
    }
  }

  /// False, and nothing changed, if it was free.
  bool give() {
    const std::uint32_t was = word_.exchange(kFree, std::memory_order_release);
    if (was == kSleepers) wake();
    return was != kFree;
  }

  bool taken() const { return word_.load(std::memory_order_relaxed) != kFree; }

  /// Free, whatever it was: for the only thread of a new process and its private copy.
  void reset() { word_.store(kFree, std::memory_order_relaxed); }

 private:
  static constexpr std::uint32_t kFree = 0, kTaken = 1, kSleepers = 2;

  auto sleep(const std::optional<SteadyTime>& deadline) {
    if constexpr (requires { P::futex_wait_private(word_, 0u); }) {
      return P::futex_wait_private(word_, kSleepers, deadline);
    } else {
      return P::futex_wait(word_, kSleepers, deadline);
    }
  }
  void wake() {
    if constexpr (requires { P::futex_wake_private(word_, 1); }) {
      P::futex_wake_private(word_, 1);
    } else {
      P::futex_wake(word_, 1);
    }
  }

  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs
