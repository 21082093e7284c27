// Broken: a reader and a writer that only try say so first, look who else is there, and both go.
//
// Lesson: flags that are raised before a look exclude, as Dekker knew, but one of the two that meet
// must be the one who stays. With blocking calls that is who comes next; between two tries nobody
// is, and both fail on a lock that nobody holds. Breaks TR-2.
#pragma once

#include <atomic>
#include <cstdint>

#include "locks/lock.h"

namespace hobbs::mutants {

template <class P>
class PoliteTries {
 public:
  static constexpr Claims claims{};

  void lock() {
    while (!raise()) P::pause();
    while (readers_.load(std::memory_order_seq_cst) != 0) P::pause();
  }
  bool try_lock() {
    if (!raise()) return false;
    if (readers_.load(std::memory_order_seq_cst) == 0) return true;
    unlock();  // BUG: the reader may have gone away because of us.
    return false;
  }
  void unlock() { writer_.store(0, std::memory_order_release); }

  void lock_shared() {
    while (!try_lock_shared()) P::pause();
  }
  bool try_lock_shared() {
    readers_.fetch_add(1, std::memory_order_seq_cst);
    if (writer_.load(std::memory_order_seq_cst) == 0) return true;
    unlock_shared();
    return false;
  }
  void unlock_shared() { readers_.fetch_sub(1, std::memory_order_release); }

 private:
  bool raise() { return writer_.exchange(1, std::memory_order_seq_cst) == 0; }

  typename P::template atomic<std::uint32_t> writer_{}, readers_{};
};

}  // namespace hobbs::mutants
