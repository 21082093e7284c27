// A lock with a defect that tests rarely see: between looking and taking, another may take it too.
#pragma once

#include <atomic>
#include <cstdint>

namespace my {

template <class P>
struct broken_lock {
  static constexpr char kind[] = "mutex";

  void lock() {
    while (word.load(std::memory_order_acquire) != 0) P::pause();
    word.store(1, std::memory_order_relaxed);
  }

  void unlock() { word.store(0, std::memory_order_release); }

  typename P::template atomic<std::uint32_t> word;
};

}  // namespace my
