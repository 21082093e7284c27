// Broken: a queue lock whose release does not wait for a successor that is just linking itself.
//
// Lesson: between a successor's exchange of the tail and its store of the link, the releaser sees
// no successor, and fails to empty the queue: it must wait for the link. Breaks LV-1.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class ImpatientQueue {
 public:
  void lock() {
    const std::uint32_t me = P::self();
    nodes_[me].next.store(0, std::memory_order_relaxed);
    nodes_[me].waits.store(1, std::memory_order_relaxed);
    const std::uint32_t before = tail_.exchange(me, std::memory_order_acq_rel);
    if (before == 0) return;
    nodes_[before].next.store(me, std::memory_order_release);
    while (nodes_[me].waits.load(std::memory_order_acquire) != 0) P::pause();
  }
  void unlock() {
    const std::uint32_t me = P::self();
    const std::uint32_t next = nodes_[me].next.load(std::memory_order_acquire);
    if (next != 0) {
      nodes_[next].waits.store(0, std::memory_order_release);
      return;
    }
    std::uint32_t last = me;
    tail_.compare_exchange_strong(last, 0, std::memory_order_acq_rel, std::memory_order_relaxed);
    // BUG: if that failed, a successor is about to appear in nodes_[me].next.
  }

 private:
  struct Node {
    typename P::template atomic<std::uint32_t> next{};
    typename P::template atomic<std::uint32_t> waits{};
  };
  typename P::template atomic<std::uint32_t> tail_{};
  std::array<Node, 65> nodes_{};
};

}  // namespace hobbs::mutants
