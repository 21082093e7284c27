// Broken: tests and sets in two steps.
//
// Lesson: two workers may both find it free before either takes it. One preemption between the load
// and the store is enough; the shortest program has one section each. Breaks ME-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class SplitTestAndSet {
 public:
  void lock() {
    while (word_.load(std::memory_order_acquire) != 0) P::pause();
    word_.store(1, std::memory_order_relaxed);  // BUG: somebody else may have taken it by now.
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
