// CLH queue lock: each waiter spins on its predecessor's node, and takes that node over.
//
//   state                          lock                             unlock
//   busy[tail] == 0         free   busy[mine]=1, tail=mine          invalid
//   busy[tail] == 1         held   the same, waits for predecessor  busy[mine]=0,
//   mine=predecessor's
//
// There is no try_lock: between reading the tail and exchanging it the tail's node can be freed,
// taken over by another worker and queued again, and who has joined the queue cannot leave it.
//
// Memory orders, line by line.
//   busy = 1, relaxed: published by the exchange of the tail.
//   tail exchange, acq_rel. Release: my successor, who reads my node's number here, then reads its
//     busy as 1 or later. Acquire: so do I with my predecessor's.
//   busy load, acquire, with the predecessor's clearing store, a release: orders the sections.
//   The clearing store comes last: from then on the node is my successor's. The table of who owns
//     which node is plain: each worker touches its own entry only.
//
// Claims: first come, first served, by the order of the exchanges. Not pristine: nodes wander.
// Source: T. Craig, "Building FIFO and priority-queueing spin locks from atomic swap", UW TR
// 93-02-02, 1993; A. Landin and E. Hagersten, IPPS 1994.
#pragma once

#include "locks/lock.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class ClhLock {
 public:
  static constexpr Claims claims{.fairness = Fairness::kFifo};

  void lock() {
    const std::uint32_t mine = my_node();
    nodes_[mine].busy.store(1, std::memory_order_relaxed);
    const std::uint32_t predecessor = tail_.exchange(mine, std::memory_order_acq_rel);
    nodes_[P::self()].predecessor = predecessor;
    while (nodes_[predecessor].busy.load(std::memory_order_acquire) != 0) P::pause();
  }
  void unlock() {
    const std::uint32_t mine = my_node();
    Node& own = nodes_[P::self()];
    own.taken_over = own.predecessor + 1;
    nodes_[mine].busy.store(0, std::memory_order_release);
  }

 private:
  // A queue node, and beside it (so that both are on one line) what worker `index` knows: the
  // node it waits on, and the node it took over plus one (0: still the one it was born with).
  struct alignas(cache_line_bytes<P>()) Node {
    typename P::template atomic<std::uint32_t> busy{};
    std::uint32_t predecessor = 0;
    std::uint32_t taken_over = 0;
  };

  std::uint32_t my_node() const {
    const std::uint32_t me = P::self();
    return nodes_[me].taken_over == 0 ? me : nodes_[me].taken_over - 1;
  }

  typename P::template atomic<std::uint32_t> tail_{};  // At first node 0, which is free.
  Node nodes_[kMaxWorkers + 1];
};

}  // namespace hobbs
