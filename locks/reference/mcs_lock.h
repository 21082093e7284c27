// MCS queue lock: each waiter spins on a word of its own. One node a worker, named by worker id.
//
//   state                    lock                        try_lock          unlock
//   tail 0            free   tail=me, acquired           tail=me           invalid
//   tail me           held   tail=him, links, waits      false             tail=0
//   tail other        held   tail=him, links, waits      false             wakes my successor
//
// Memory orders, line by line.
//   tail exchange in lock(), acq_rel. Acquire: reading 0 it pairs with the release of the unlock
//     that wrote it, and the sections are ordered. Release: my node was cleaned before, and my
//     successor's link must come after that in the word's modification order.
//   tail compare-exchange in try_lock(), acq_rel, for the same two reasons.
//   waiting = 1, relaxed: published by the link, a release, and so before it.
//   link (next of my predecessor), release: he acquires it before he clears `waiting`, so his 0
//     comes after my 1.
//   waiting load, acquire, with the predecessor's clearing store, a release: orders the sections.
//   next load in unlock(), acquire: see `link`. Clearing it is relaxed: nobody else writes it until
//     my next round, which the exchange publishes.
//   tail compare-exchange in unlock(), release: orders my section before the next one. Failing, it
//     learns only that a successor is on his way.
//
// Claims: first come, first served, by the order of the exchanges; zero bytes when free.
// Source: J. Mellor-Crummey and M. Scott, "Algorithms for scalable synchronization on
// shared-memory multiprocessors", ACM TOCS 9(1), 1991.
#pragma once

#include "locks/lock.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class McsLock {
 public:
  static constexpr Claims claims{.fairness = Fairness::kFifo, .pristine_when_free = true};

  void lock() {
    const std::uint32_t me = P::self();
    const std::uint32_t predecessor = tail_.exchange(me, std::memory_order_acq_rel);
    if (predecessor == kNobody) return;
    nodes_[me].waiting.store(1, std::memory_order_relaxed);
    nodes_[predecessor].next.store(me, std::memory_order_release);
    while (nodes_[me].waiting.load(std::memory_order_acquire) != 0) P::pause();
  }
  bool try_lock() {
    std::uint32_t nobody = kNobody;
    return tail_.compare_exchange_strong(nobody, P::self(), std::memory_order_acq_rel,
                                         std::memory_order_relaxed);
  }
  void unlock() {
    const std::uint32_t me = P::self();
    std::uint32_t successor = nodes_[me].next.load(std::memory_order_acquire);
    if (successor == kNobody) {
      std::uint32_t last = me;
      if (tail_.compare_exchange_strong(last, kNobody, std::memory_order_release,
                                        std::memory_order_relaxed)) {
        return;
      }
      while ((successor = nodes_[me].next.load(std::memory_order_acquire)) == kNobody) P::pause();
    }
    nodes_[me].next.store(kNobody, std::memory_order_relaxed);
    nodes_[successor].waiting.store(0, std::memory_order_release);
  }

 private:
  static constexpr std::uint32_t kNobody = 0;  // Worker ids begin at 1.

  struct alignas(cache_line_bytes<P>()) Node {
    typename P::template atomic<std::uint32_t> next{};
    typename P::template atomic<std::uint32_t> waiting{};
  };

  typename P::template atomic<std::uint32_t> tail_{};
  Node nodes_[kMaxWorkers + 1];  // nodes_[0] is nobody's.
};

}  // namespace hobbs
