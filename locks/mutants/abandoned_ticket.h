// Broken: a ticket lock whose timed waiter leaves its ticket in the line.
//
// Lesson: a place in a queue must be given back or passed on. The lock is granted to somebody who
// has left, and is held by nobody from then on. Breaks TO-5 or LV-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class AbandonedTicket {
 public:
  void lock() {
    const std::uint32_t mine = next_.fetch_add(1, std::memory_order_relaxed);
    while (serving_.load(std::memory_order_acquire) != mine) P::pause();
  }
  bool try_lock_until(typename P::time_point deadline) {
    const std::uint32_t mine = next_.fetch_add(1, std::memory_order_relaxed);
    while (serving_.load(std::memory_order_acquire) != mine) {
      if (P::now() >= deadline) return false;  // BUG: its turn will come all the same.
      P::pause();
    }
    return true;
  }
  void unlock() {
    serving_.store(serving_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

 private:
  typename P::template atomic<std::uint32_t> next_{};
  typename P::template atomic<std::uint32_t> serving_{};
};

}  // namespace hobbs::mutants
