// Broken: a readers-writer lock that claims to be phase-fair and lets every writer go first.
//
// Lesson: preferring writers cures their starvation by giving it to the readers. Phase-fair means
// that a waiting reader is passed by one writer and no more; here by as many as come. Breaks FA-2.
#pragma once

#include <atomic>
#include <cstdint>

#include "locks/lock.h"

namespace hobbs::mutants {

template <class P>
class EternalWriters {
 public:
  static constexpr Claims claims{.fairness = Fairness::kPhaseFair};

  void lock() {
    writers_.fetch_add(1, std::memory_order_relaxed);
    std::uint32_t free = 0;
    while (!word_.compare_exchange_strong(free, kWriter, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      free = 0;
      P::pause();
    }
  }
  void unlock() {
    word_.store(0, std::memory_order_release);
    writers_.fetch_sub(1, std::memory_order_relaxed);
  }
  void lock_shared() {
    readers_waiting_.fetch_add(1, std::memory_order_relaxed);
    for (;;) {
      std::uint32_t readers = word_.load(std::memory_order_relaxed);
      // BUG: nothing ever puts the readers that wait before the next writer.
      if (writers_.load(std::memory_order_relaxed) == 0 && readers != kWriter &&
          word_.compare_exchange_strong(readers, readers + 1, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
        break;
      }
      P::pause();
    }
    readers_waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  void unlock_shared() { word_.fetch_sub(1, std::memory_order_release); }

 private:
  static constexpr std::uint32_t kWriter = 1u << 31;
  typename P::template atomic<std::uint32_t> word_{}, writers_{}, readers_waiting_{};
};

}  // namespace hobbs::mutants
