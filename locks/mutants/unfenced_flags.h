// Broken: raises its flag and looks at the other's without a store-load fence between.
//
// Lesson: correct under every interleaving, and yet wrong on every processor with store buffers:
// both flags may still be under way when both look. A search of interleavings alone passes it; one
// with store buffers does not. Peterson's algorithm with acquire and release. Breaks ME-1 (or
// MM-1).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class UnfencedFlags {
 public:
  static constexpr char kind[] = "mutex";
  static constexpr unsigned max_workers = 2;

  void lock() {
    const std::uint32_t me = P::self() % 2;
    wants_[me].store(1, std::memory_order_release);
    last_.store(me, std::memory_order_release);  // BUG: needs to be an exchange, or fenced.
    while (wants_[1 - me].load(std::memory_order_acquire) != 0 &&
           last_.load(std::memory_order_acquire) == me) {
      P::pause();
    }
  }
  void unlock() { wants_[P::self() % 2].store(0, std::memory_order_release); }

 private:
  std::array<typename P::template atomic<std::uint32_t>, 2> wants_{};
  typename P::template atomic<std::uint32_t> last_{};
};

}  // namespace hobbs::mutants
