// Broken: counts nested acquisitions in eight bits.
//
// Lesson: at the 256th the count is zero again, and one release frees a lock that is still held.
// Depth is a dimension of its own. Breaks RE-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class ShallowReentry {
 public:
  static constexpr char kind[] = "reentrant";

  void lock() {
    if (owner_.load(std::memory_order_relaxed) != P::self()) {
      std::uint32_t free = 0;
      while (!owner_.compare_exchange_strong(free, P::self(), std::memory_order_acquire,
                                             std::memory_order_relaxed)) {
        free = 0;
        P::pause();
      }
    }
    ++depth_;  // BUG: wraps.
  }
  bool try_lock() {
    std::uint32_t seen = 0;
    if (owner_.load(std::memory_order_relaxed) != P::self() &&
        !owner_.compare_exchange_strong(seen, P::self(), std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
      return false;
    }
    ++depth_;
    return true;
  }
  void unlock() {
    if (--depth_ == 0) owner_.store(0, std::memory_order_release);
  }

 private:
  typename P::template atomic<std::uint32_t> owner_{};
  std::uint8_t depth_ = 0;
};

}  // namespace hobbs::mutants
