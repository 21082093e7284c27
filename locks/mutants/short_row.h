// Broken: a row of 64 words, the first of them the lock's, has no seat for worker 64.
//
// Lesson: ids go from 1 to the greatest, and so must whatever is indexed by them. All workers but
// the last are served well. Breaks LV-1 (and whatever else a seat that is the lock can break).
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class ShortRow {
 public:
  void lock() {
    seat().store(1, std::memory_order_relaxed);  // "I want it": for whoever looks.
    while (row_[0].exchange(1, std::memory_order_acquire) != 0) P::pause();
    seat().store(0, std::memory_order_relaxed);
  }
  void unlock() { row_[0].store(0, std::memory_order_release); }

 private:
  static constexpr std::uint32_t kSeats = 64;

  auto& seat() { return row_[P::self() % kSeats]; }  // BUG: that of worker 64 is the lock.

  typename P::template atomic<std::uint32_t> row_[kSeats]{};
};

}  // namespace hobbs::mutants
