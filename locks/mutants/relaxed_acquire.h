// Broken: the slow path acquires without an acquire.
//
// Lesson: the fast path is right, so only a worker that had to wait reads stale data. Breaks MM-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class RelaxedAcquire {
 public:
  void lock() {
    if (word_.exchange(1, std::memory_order_acquire) == 0) return;
    while (word_.exchange(1, std::memory_order_relaxed) != 0) P::pause();  // BUG: this one too.
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
