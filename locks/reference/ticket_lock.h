// Ticket lock: takes a number and waits until it is served.
//
//   state                        lock                       try_lock           unlock
//   next == serving       free   next+1, acquired           next+1, acquired   invalid
//   next == serving + n   held   next+1, waits n turns      false              serving+1
//
// Memory orders. Drawing a ticket is relaxed: it publishes nothing and only orders the waiters
// among themselves, which the word's own modification order does. The acquire load that reads
// `serving == ticket` reads the previous holder's release store: that pair orders the sections.
// try_lock() gets the same pair from its load of `serving`; its compare-exchange succeeds only if
// no later ticket was drawn, so it needs no order of its own. Only the holder writes `serving`, so
// unlock() may read it relaxed. Both counters wrap together and are compared for equality only.
//
// Claims: first come, first served, by the order of the tickets. Not pristine: the counters stay.
// Source: D. Reed and R. Kanodia, "Synchronization with eventcounts and sequencers", CACM 22(2),
// 1979; J. Mellor-Crummey and M. Scott, ACM TOCS 9(1), 1991.
#pragma once

#include "locks/lock.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class TicketLock {
 public:
  static constexpr Claims claims{.fairness = Fairness::kFifo, .zero_is_free = true};

  void lock() {
    const std::uint32_t ticket = next_.fetch_add(1, std::memory_order_relaxed);
    for (;;) {
      const std::uint32_t ahead = ticket - serving_.load(std::memory_order_acquire);
      if (ahead == 0) return;
      // Who has more waiters ahead looks less often: the line stays with the holder.
      pause_for<P>(ahead);
    }
  }
  bool try_lock() {
    std::uint32_t ticket = serving_.load(std::memory_order_acquire);
    return next_.compare_exchange_strong(ticket, ticket + 1, std::memory_order_relaxed,
                                         std::memory_order_relaxed);
  }
  void unlock() {
    serving_.store(serving_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

 private:
  typename P::template atomic<std::uint32_t> next_{};
  typename P::template atomic<std::uint32_t> serving_{};
};

}  // namespace hobbs
