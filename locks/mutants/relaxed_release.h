// Broken: the release is not one.
//
// Lesson: no interleaving shows it, and no run on x86 either, as its stores are releases anyway.
// A happens-before race detector sees it in any schedule in which the lock changes hands. Breaks
// MM-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class RelaxedRelease {
 public:
  void lock() {
    while (word_.exchange(1, std::memory_order_acquire) != 0) P::pause();
  }
  void unlock() { word_.store(0, std::memory_order_relaxed); }  // BUG: the section may leak out.

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
