// Broken: readers wait for a writer that waits, but not if other readers are inside already.
//
// Lesson: "we are reading anyway, one more does no harm" is how writers starve: as long as readers
// overlap, the count never comes to zero. Writers first is claimed. Breaks FA-1.
#pragma once

#include <atomic>
#include <cstdint>

#include "locks/lock.h"

namespace hobbs::mutants {

template <class P>
class JoiningReader {
 public:
  static constexpr Claims claims{.fairness = Fairness::kWriterPreference};

  void lock() {
    waiting_.fetch_add(1, std::memory_order_relaxed);
    std::uint32_t free = 0;
    while (!word_.compare_exchange_strong(free, kWriter, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      free = 0;
      P::pause();
    }
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  void unlock() { word_.store(0, std::memory_order_release); }
  void lock_shared() {
    for (;;) {
      std::uint32_t readers = word_.load(std::memory_order_relaxed);
      const bool free = readers == 0 && waiting_.load(std::memory_order_relaxed) == 0;
      const bool joins = readers != 0 && readers != kWriter;  // BUG: a writer may be waiting.
      if ((free || joins) &&
          word_.compare_exchange_strong(readers, readers + 1, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
        return;
      }
      P::pause();
    }
  }
  void unlock_shared() { word_.fetch_sub(1, std::memory_order_release); }

 private:
  static constexpr std::uint32_t kWriter = 1u << 31;
  typename P::template atomic<std::uint32_t> word_{}, waiting_{};
};

}  // namespace hobbs::mutants
