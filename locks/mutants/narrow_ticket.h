// Broken: both counters of a ticket lock in one word, and the lower overflows into the upper.
//
// Lesson: right for the first 65,535 acquisitions. A wrap must be within reach of a test: use the
// lock that often before the workers start. Breaks LV-2 (or ME-1, ME-7).
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class NarrowTicket {
 public:
  void lock() {
    const std::uint32_t before = word_.fetch_add(kTicket, std::memory_order_acquire);
    const std::uint32_t mine = before >> 16;
    while ((word_.load(std::memory_order_acquire) & 0xffff) != mine) P::pause();
  }
  void unlock() { word_.fetch_add(1, std::memory_order_release); }  // BUG: carries at 0xffff.

 private:
  static constexpr std::uint32_t kTicket = 1 << 16;
  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
