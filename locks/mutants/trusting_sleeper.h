// Broken: takes a return from the futex wait for the lock itself.
//
// Lesson: a wait returns for many reasons: spuriously, by a signal, because the word had changed
// already, or because of a wake that a third worker has used. Breaks ME-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class TrustingSleeper {
 public:
  void lock() {
    if (word_.exchange(1, std::memory_order_acquire) == 0) return;
    P::futex_wait(word_, 1);
    word_.exchange(1, std::memory_order_acquire);  // BUG: only if this reads 0 is it ours.
  }
  void unlock() {
    word_.store(0, std::memory_order_release);
    P::futex_wake(word_, 1);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
