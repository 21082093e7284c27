// Peterson's lock for two workers: plain words only, but for one exchange that orders them.
//
//   state of the other       lock                             unlock
//   not interested    free   interested, acquired             invalid
//   interested        held   gives way, waits until he is     not interested
//                            not interested or gives way too
//
// Memory orders, line by line (after A. Williams; the textbook version needs all of them seq_cst).
//   interested = 1, relaxed: published by the exchange.
//   turn exchange, acq_rel. The two workers' exchanges have one modification order, and an exchange
//     reads the one before it: so of two that compete, the later one sees the earlier one's
//     interest (that is the store-load order that Peterson needs and that plain release/acquire
//     stores do not give), finds the turn as it wrote it, and waits.
//   interested load, acquire, with the release store in unlock(): orders the sections when the
//     other has left.
//   turn load, acquire, with the exchange: orders them when the other has left and come back. The
//     original has it relaxed; but the other's renewed interest is a relaxed store, and reading it
//     would then order nothing.
//
// Claims: workers 1 and 2 only; first come, first served by the order of the exchanges. No
// try_lock: backing out could fail on a free lock. Not pristine: the turn stays.
// Source: G. Peterson, "Myths about the mutual exclusion problem", IPL 12(3), 1981.
#pragma once

#include "locks/lock.h"

namespace hobbs {

template <class P>
class PetersonLock {
 public:
  static constexpr Claims claims{.fairness = Fairness::kFifo, .max_workers = 2};

  void lock() {
    const std::uint32_t other = 1 - me();
    interested_[me()].store(1, std::memory_order_relaxed);
    turn_.exchange(other, std::memory_order_acq_rel);
    while (interested_[other].load(std::memory_order_acquire) != 0 &&
           turn_.load(std::memory_order_acquire) == other) {
      P::pause();
    }
  }
  void unlock() { interested_[me()].store(0, std::memory_order_release); }

 private:
  static std::uint32_t me() { return (P::self() - 1) % 2; }

  typename P::template atomic<std::uint32_t> interested_[2]{};
  typename P::template atomic<std::uint32_t> turn_{};
};

}  // namespace hobbs
