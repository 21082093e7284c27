// Broken: a reader that had to wait enters exclusively.
//
// Lesson: no data race, no overlap, no hang in simple programs: only readers that wait for each
// other inside their sections show that they cannot be there together. Breaks RW-2.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class LonelyReader {
 public:
  static constexpr char kind[] = "rw";

  void lock() {
    std::uint32_t free = 0;
    while (!word_.compare_exchange_strong(free, kWriter, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      free = 0;
      P::pause();
    }
  }
  void unlock() { word_.store(0, std::memory_order_release); }
  void lock_shared() {
    std::uint32_t readers = word_.load(std::memory_order_relaxed);
    while (readers < kWriter) {
      if (word_.compare_exchange_strong(readers, readers + 1, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
        return;
      }
    }
    lock();  // BUG: keeps the other readers out.
  }
  void unlock_shared() {
    if (word_.load(std::memory_order_relaxed) == kWriter) return unlock();
    word_.fetch_sub(1, std::memory_order_release);
  }

 private:
  static constexpr std::uint32_t kWriter = 1u << 31;
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
