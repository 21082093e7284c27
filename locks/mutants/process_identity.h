// Broken: a re-entrant lock that knows its owner by process.
//
// Lesson: two threads of one process are one owner to it. Workers that are all processes never
// notice: topology is part of the scenario. Breaks ME-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class ProcessIdentity {
 public:
  static constexpr char kind[] = "reentrant";

  void lock() {
    if (owner_.load(std::memory_order_relaxed) != P::pid()) {  // BUG: self().
      std::uint32_t free = 0;
      while (!owner_.compare_exchange_strong(free, P::pid(), std::memory_order_acquire,
                                             std::memory_order_relaxed)) {
        free = 0;
        P::pause();
      }
    }
    depth_.fetch_add(1, std::memory_order_relaxed);
  }
  void unlock() {
    if (depth_.fetch_sub(1, std::memory_order_relaxed) == 1) {
      owner_.store(0, std::memory_order_release);
    }
  }

 private:
  typename P::template atomic<std::uint32_t> owner_{};
  typename P::template atomic<std::uint32_t> depth_{};
};

}  // namespace hobbs::mutants
