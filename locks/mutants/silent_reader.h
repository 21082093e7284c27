// Broken: the last reader wakes nobody.
//
// Lesson: every way of freeing the lock must wake, and the shared release is the one that is
// forgotten. Breaks LV-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class SilentReader {
 public:
  static constexpr char kind[] = "rw";

  void lock() {
    std::uint32_t seen = 0;
    while (!word_.compare_exchange_strong(seen, kWriter, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      P::futex_wait(word_, seen);
      seen = 0;
    }
  }
  void unlock() {
    word_.store(0, std::memory_order_release);
    P::futex_wake(word_, INT32_MAX);
  }
  void lock_shared() {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while (seen >= kWriter ||
           !word_.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
      if (seen >= kWriter) P::futex_wait(word_, seen);
      seen = word_.load(std::memory_order_relaxed);
    }
  }
  void unlock_shared() {
    word_.fetch_sub(1, std::memory_order_release);
  }  // BUG: a writer may sleep.

 private:
  static constexpr std::uint32_t kWriter = 1u << 31;
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
