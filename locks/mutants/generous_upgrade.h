// Broken: an upgrade that does not look for other readers.
//
// Lesson: two workers that upgrade at once both become the writer. Breaks RW-4 (or RW-1).
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class GenerousUpgrade {
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
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while (true) {
      if (seen >= kWriter) {
        P::pause();
        seen = word_.load(std::memory_order_relaxed);
      } else if (word_.compare_exchange_strong(seen, seen + 1, std::memory_order_acquire,
                                               std::memory_order_relaxed)) {
        return;
      }
    }
  }
  void unlock_shared() { word_.fetch_sub(1, std::memory_order_release); }
  bool try_upgrade() {
    word_.store(kWriter, std::memory_order_release);  // BUG: only if it is the one reader.
    return true;
  }

 private:
  static constexpr std::uint32_t kWriter = 1u << 31;
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
