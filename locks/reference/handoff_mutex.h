// Spin-then-park mutex with FIFO hand-off and timed acquire: an MCS queue that one can leave.
//
//   state                   lock                      try_lock   timeout              unlock
//   tail 0           free   tail=me, acquired         tail=me    -                    invalid
//   tail me          held   tail=him, links, waits    false      leaves, tail=me      tail=0
//   tail other       held   tail=him, links, waits    false      leaves, neighbours   grants my
//                                                                are joined           successor
//
// A node's life: idle -> (tail exchange) waiting -> parked -> granted -> idle. `waiting` is idle's
// zero, so that nodes need no set-up. Parking comes after some spinning and some yielding: a
// waiter who holds a processor takes over in nanoseconds, and with more workers than processors
// nobody burns the one that the holder needs. The lock is never free while somebody waits.
//
// Leaving, after Linux's optimistic spin queue: (A) take back the predecessor's link to me: then he
// cannot grant me; (B) get hold of my successor, or make the predecessor the tail; (C) link the two
// to each other. Whoever's link has been taken waits at (B) until its neighbour has finished, so
// two that leave side by side cannot lose each other. If (A) finds itself granted, it has the lock.
//
// Memory orders, line by line.
//   tail exchange and try_lock()'s compare-exchange, acq_rel. Acquire: of the unlock that wrote 0,
//     and of the node clean-up of whoever is the predecessor. Release: publishes that mine is
//     clean.
//   previous = predecessor, relaxed, published by the link, a release, which the predecessor
//     acquires (exchange of `next`) before he grants or joins me.
//   state exchange in grant(), release, with the acquire load, or failed compare-exchange, that
//     reads `granted`: orders the sections.
//   state = parked, relaxed: the kernel compares it again.
//   (A) relaxed: it reads a link and undoes it; nothing is learnt. (B) tail compare-exchange,
//     release: a newcomer's link must come after (A) in that word's modification order, and for
//     unlock() it ends the section. (C) previous, relaxed, before the link, release, as at entry.
// After the exchange that grants, unlock() uses only the word's address: the mutex may be gone.
//
// Claims: first come, first served, by the order of the exchanges; zero bytes when free; a timeout
// leaves no trace and never passes a grant by.
// Source: M. Scott and W. Scherer, "Scalable queue-based spin locks with timeout", PPoPP 2001;
// kernel/locking/osq_lock.c of Linux.
#pragma once

#include <optional>

#include "locks/lock.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class HandoffMutex : public TimedLocking<HandoffMutex<P>, P> {
 public:
  using Deadline = std::optional<typename P::time_point>;
  static constexpr Claims claims{
      .fairness = Fairness::kFifo, .pristine_when_free = true, .waits_asleep = true};

  void lock() { acquire(std::nullopt); }
  bool try_lock() {
    std::uint32_t nobody = kNobody;
    return tail_.compare_exchange_strong(nobody, P::self(), std::memory_order_acq_rel,
                                         std::memory_order_relaxed);
  }
  bool try_lock_until(typename P::time_point deadline) {
    return try_lock() || (P::now() < deadline && acquire(deadline));
  }
  using TimedLocking<HandoffMutex, P>::try_lock_until;
  void unlock() {
    const std::uint32_t successor = detach_successor(P::self(), kNobody);
    if (successor != kNobody) grant(successor);
  }

 private:
  static constexpr std::uint32_t kNobody = 0;  // Worker ids begin at 1.
  static constexpr std::uint32_t kWaiting = 0, kParked = 1, kGranted = 2;
  static constexpr std::uint32_t kSpins = 400, kYields = 16;

  struct alignas(cache_line_bytes<P>()) Node {
    typename P::template atomic<std::uint32_t> state{};
    typename P::template atomic<std::uint32_t> next{};
    typename P::template atomic<std::uint32_t> previous{};
  };

  bool acquire(Deadline deadline) {
    const std::uint32_t me = P::self();
    const std::uint32_t predecessor = tail_.exchange(me, std::memory_order_acq_rel);
    if (predecessor == kNobody) return true;
    nodes_[me].previous.store(predecessor, std::memory_order_relaxed);
    nodes_[predecessor].next.store(me, std::memory_order_release);
    const bool granted = wait(me, deadline) || !leave(me);
    nodes_[me].state.store(kWaiting, std::memory_order_relaxed);
    nodes_[me].previous.store(kNobody, std::memory_order_relaxed);
    return granted;
  }

  bool is_granted(std::uint32_t me) const {
    return nodes_[me].state.load(std::memory_order_acquire) == kGranted;
  }

  /// Until granted (true) or the deadline has passed (false).
  bool wait(std::uint32_t me, Deadline deadline) {
    for (std::uint32_t n = spin_limit<P>(kSpins); n > 0; --n) {
      if (is_granted(me)) return true;
      P::pause();
    }
    for (std::uint32_t n = spin_limit<P>(kYields); n > 0; --n) {
      if (is_granted(me)) return true;
      P::yield();
    }
    std::uint32_t waiting = kWaiting;
    if (!nodes_[me].state.compare_exchange_strong(waiting, kParked, std::memory_order_relaxed,
                                                  std::memory_order_acquire)) {
      return true;
    }
    while (!is_granted(me)) {
      if (P::futex_wait(nodes_[me].state, kParked, deadline) == P::wait_result::timed_out) {
        return false;
      }
    }
    return true;
  }

  void grant(std::uint32_t worker) {
    auto& state = nodes_[worker].state;
    if (state.exchange(kGranted, std::memory_order_release) == kParked) P::futex_wake(state, 1);
  }

  /// Takes the worker out of the queue; false if it has been granted the lock meanwhile.
  bool leave(std::uint32_t me) {
    std::uint32_t previous;
    for (;;) {  // (A)
      previous = nodes_[me].previous.load(std::memory_order_relaxed);
      std::uint32_t link = me;
      if (nodes_[previous].next.compare_exchange_strong(link, kNobody, std::memory_order_relaxed,
                                                        std::memory_order_relaxed)) {
        break;
      }
      if (is_granted(me)) return false;
      P::pause();
    }
    const std::uint32_t successor = detach_successor(me, previous);  // (B)
    if (successor != kNobody) {                                      // (C)
      nodes_[successor].previous.store(previous, std::memory_order_relaxed);
      nodes_[previous].next.store(successor, std::memory_order_release);
    }
    return true;
  }

  /// The successor, which no longer knows a way back to `me`; or nobody, and `heir` is the tail.
  std::uint32_t detach_successor(std::uint32_t me, std::uint32_t heir) {
    for (;;) {
      if (nodes_[me].next.load(std::memory_order_relaxed) != kNobody) {
        const std::uint32_t successor =
            nodes_[me].next.exchange(kNobody, std::memory_order_acquire);
        if (successor != kNobody) return successor;
      }
      std::uint32_t last = me;
      if (tail_.compare_exchange_strong(last, heir, std::memory_order_release,
                                        std::memory_order_relaxed)) {
        return kNobody;
      }
      P::pause();
    }
  }

  typename P::template atomic<std::uint32_t> tail_{};
  Node nodes_[kMaxWorkers + 1];  // nodes_[0] is nobody's.
};

}  // namespace hobbs
