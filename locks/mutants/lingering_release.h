// Broken: a release that counts after it has let go.
//
// Lesson: the next holder may be the last, and may free the memory at once. Poison it there and
// then. Breaks AB-5.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class LingeringRelease {
 public:
  void lock() {
    while (word_.exchange(1, std::memory_order_acquire) != 0) P::pause();
  }
  void unlock() {
    word_.store(0, std::memory_order_release);
    releases_.fetch_add(1, std::memory_order_relaxed);  // BUG: the memory may be gone.
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
  typename P::template atomic<std::uint32_t> releases_{};
};

}  // namespace hobbs::mutants
