// Broken: a reader looks for a writer first and registers afterwards.
//
// Lesson: the shared side needs one atomic step, as the exclusive side does; here a writer slips in
// between. Breaks RW-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class HastyReader {
 public:
  static constexpr char kind[] = "rw";

  void lock() {
    while (writer_.exchange(1, std::memory_order_seq_cst) != 0) P::pause();
    while (readers_.load(std::memory_order_seq_cst) != 0) P::pause();
  }
  void unlock() { writer_.store(0, std::memory_order_seq_cst); }
  void lock_shared() {
    while (writer_.load(std::memory_order_seq_cst) != 0) P::pause();
    readers_.fetch_add(1, std::memory_order_seq_cst);  // BUG: look again after this.
  }
  void unlock_shared() { readers_.fetch_sub(1, std::memory_order_seq_cst); }

 private:
  typename P::template atomic<std::uint32_t> writer_{};
  typename P::template atomic<std::uint32_t> readers_{};
};

}  // namespace hobbs::mutants
