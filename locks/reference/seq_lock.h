// Sequence lock: writers exclude each other, readers never write and retry if a writer came by.
//
//   state         lock                 try_lock             unlock    read_begin     read_is_valid
//   even   free   +1, acquired         +1, acquired         invalid   the number     same number?
//   odd    held   spins                false                +1        spins          false
//
// As a lock under test it is its writer side: an optimistic read is not a hold, since nothing keeps
// a writer out while it lasts, so shared mode is not offered. Readers use
//
//     const std::uint64_t sum = lock.read([&] { return lock.get(a_) + lock.get(b_); });
//
// and all guarded words are atomics, written by put() while holding the lock.
//
// Memory orders, line by line. No fences: the orders are on the guarded words.
//   compare-exchange to odd, acquire, with unlock()'s release store: orders the writers.
//   read_begin load, acquire, with the same store: the reader sees all of that section.
//   put(), release: who reads the value also sees the odd number that stands before it.
//   get(), acquire: a reader that got a later writer's value therefore reads, in read_is_valid(),
//     that writer's odd number or a later one: it differs, and the read is repeated. For the same
//     reason that last load comes after all get()s and may itself be relaxed.
//
// Claims: no fairness; the sequence stays, so not pristine. A reader is deceived if exactly 2^31
// sections pass during one read.
// Source: C. Lameter, "Effective synchronization on Linux/NUMA systems", 2005; H. Boehm, "Can
// seqlocks get along with programming language memory models?", MSPC 2012.
#pragma once

#include "locks/lock.h"

namespace hobbs {

template <class P>
class SeqLock {
 public:
  static constexpr Claims claims{};
  template <class T>
  using Guarded = typename P::template atomic<T>;

  void lock() {
    while (!try_lock()) P::pause();
  }
  bool try_lock() {
    std::uint32_t sequence = sequence_.load(std::memory_order_relaxed);
    while (sequence % 2 == 0) {
      if (sequence_.compare_exchange_strong(sequence, sequence + 1, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  void unlock() {
    sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// Waits out a writer; the number to hand to read_is_valid().
  std::uint32_t read_begin() const {
    for (;;) {
      const std::uint32_t sequence = sequence_.load(std::memory_order_acquire);
      if (sequence % 2 == 0) return sequence;
      P::pause();
    }
  }
  /// Whether no writer has been inside since: what get() returned belongs together.
  bool read_is_valid(std::uint32_t begin) const {
    return sequence_.load(std::memory_order_relaxed) == begin;
  }
  /// Calls `get_all` until its result is valid. It may see torn values before, and must bear them.
  template <class GetAll>
  auto read(GetAll&& get_all) const {
    for (;;) {
      const std::uint32_t begin = read_begin();
      const auto result = get_all();
      if (read_is_valid(begin)) return result;
    }
  }

  template <class T>
  static T get(const Guarded<T>& word) {
    return word.load(std::memory_order_acquire);
  }
  template <class T>
  static void put(Guarded<T>& word, T value) {
    word.store(value, std::memory_order_release);
  }

 private:
  typename P::template atomic<std::uint32_t> sequence_{};
};

}  // namespace hobbs
