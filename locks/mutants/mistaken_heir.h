// Broken: a waiter that finds itself the owner takes the lock for handed to it.
//
// Lesson: a holder that asks again is the owner from the start: it is to wait for itself, and any
// wake without a reason lets it in a second time. Only what the releaser alone writes proves a
// handoff. The kernel's mutexes had it (e274795ea7b7, "locking/mutex: Fix mutex handoff").
// Breaks ME-1.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

namespace hobbs::mutants {

/// word_: the owner's id, or 0; above that a bit for each worker that waits.
template <class P>
class MistakenHeir {
 public:
  static constexpr char kind[] = "mutex";
  static constexpr unsigned max_workers = 24;

  void lock() {
    const std::uint32_t me = P::self();
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while (true) {
      const bool free = (seen & kOwner) == 0;
      const std::uint32_t wanted = seen | (free ? me : waiting(me));
      if (wanted != seen && !word_.compare_exchange_strong(seen, wanted, std::memory_order_acquire,
                                                           std::memory_order_relaxed)) {
        continue;
      }
      if (free) return;
      P::futex_wait(word_, wanted);
      seen = word_.load(std::memory_order_acquire);
      if ((seen & kOwner) == me) return;  // BUG: it may have been the owner when it came.
    }
  }
  void unlock() {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    std::uint32_t next = 0;
    do {
      const std::uint32_t heirs = seen & ~kOwner;
      next = heirs == 0 ? 0 : (heirs & (heirs - 1)) | (std::countr_zero(heirs) - 7);
    } while (!word_.compare_exchange_weak(seen, next, std::memory_order_release,
                                          std::memory_order_relaxed));
    if (next != 0) P::futex_wake(word_, max_workers);
  }

 private:
  static constexpr std::uint32_t kOwner = 0xff;
  static constexpr std::uint32_t waiting(std::uint32_t id) { return 1u << (id + 7); }

  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs::mutants
