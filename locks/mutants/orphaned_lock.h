// Broken: claims to survive its owner, but looks for a dead one only once.
//
// Lesson: the owner may die after the waiter has gone to sleep. Kill it at every point in turn, not
// at random ones. Breaks CR-5.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class OrphanedLock {
 public:
  static constexpr char kind[] = "robust";

  void lock() {
    std::uint32_t owner = 0;
    bool looked = false;
    while (!owner_.compare_exchange_strong(owner, P::self(), std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
      if (!looked && !P::alive(owner)) {
        if (owner_.compare_exchange_strong(owner, P::self(), std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
          return;
        }
      }
      looked = true;  // BUG: it may die later.
      P::pause();
      owner = 0;
    }
  }
  void unlock() { owner_.store(0, std::memory_order_release); }

 private:
  typename P::template atomic<std::uint32_t> owner_{};
};

}  // namespace hobbs::mutants
