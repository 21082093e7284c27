// Big-reader lock: each reader says so in a word of its own, so that readers do not disturb each
// other; a writer bars new ones and waits for each that is inside. Timed for readers; downgrade.
//
//   state                    shared acquire             exclusive acquire
//   free                     own word 1                 W
//   readers inside           own word 1                 W, waits for each of them
//   W, readers inside        own word 0, waits for W    waits for W
//   W                        own word 0, waits for W    waits for W
//   release: shared: own word 0, wakes the writer that slept on it; exclusive: W -> free, wakes all
//   who sleep on W. downgrade: own word 1, then W -> free.
//
// The writers' word W is free, held, or held with sleepers, as in futex_mutex.h. A reader's word is
// 0, 1, or 2: a writer sleeps until it is 0. `readers_` has a bit for each worker that has ever
// come as a reader, so that a writer asks nobody else.
//
// Memory orders. A reader writes its word and then reads W; a writer writes W and then reads the
// readers' words: all four are sequentially consistent, so that not both can miss the other (and
// with them the bit, which comes before the word). A reader that finds W free acquires the
// exchange that freed it. A writer that finds a word 0 cannot have read a 0 older than the 1 of a
// reader who missed W: it reads the 0 of that reader's release, and acquires it. The exchanges that
// leave are releases. No wake is lost: who sleeps has written 2 with a compare-exchange, and every
// change to 0 is an exchange that reads it. After it a release touches only the word's address.
//
// A writer can neither try nor give up: having barred a reader who only tries, and seen its word,
// it would fail together with it, on a free lock (hobbs explore shows it within a millisecond,
// TR-2).
//
// Claims: no fairness. A waiting writer bars new readers; writers that follow each other for ever
// starve readers. Not pristine when free: the bits stay.
// Source: I. Molnar's big-reader lock in Linux 2.4 (lib/brlock.c, 2000); W. Hsieh and W. Weihl,
// "Scalable reader-writer locks for parallel systems", IPPS 1992.
#pragma once

#include <bit>
#include <climits>
#include <optional>

#include "locks/lock.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class BigReaderLock : public TimedSharedLocking<BigReaderLock<P>, P> {
 public:
  using Deadline = std::optional<typename P::time_point>;
  static constexpr Claims claims{};

  void lock() {
    if (!take_writers_word()) wait_for_writer();
    for (std::uint64_t left = readers_.load(std::memory_order_seq_cst); left != 0;
         left &= left - 1) {
      wait_for_reader(word_of(lowest(left)));
    }
  }
  void unlock() {
    if (writer_.exchange(kFree, std::memory_order_release) == kContended) {
      P::futex_wake(writer_, INT_MAX);
    }
  }
  /// Exclusive to shared, atomically; never waits.
  void downgrade() {
    const std::uint32_t me = P::self();
    join(me);
    word_of(me).store(kInside, std::memory_order_relaxed);
    unlock();
  }

  void lock_shared() { wait_shared(std::nullopt); }
  bool try_lock_shared() { return enter(P::self()); }
  bool try_lock_shared_until(typename P::time_point deadline) { return wait_shared(deadline); }
  using TimedSharedLocking<BigReaderLock, P>::try_lock_shared_until;
  void unlock_shared() { leave(P::self()); }

 private:
  static constexpr std::uint32_t kFree = 0, kHeld = 1, kContended = 2;
  static constexpr std::uint32_t kOutside = 0, kInside = 1, kAwaited = 2;
  static constexpr std::uint32_t kSpins = 400;
  static_assert(kMaxWorkers <= 64, "a bit for each");

  using Word = typename P::template atomic<std::uint32_t>;
  struct alignas(cache_line_bytes<P>()) Reader {
    Word word{};
  };

  /// The worker of the lowest bit; ids begin at 1.
  static std::uint32_t lowest(std::uint64_t bits) {
    return static_cast<std::uint32_t>(std::countr_zero(bits)) + 1;
  }
  Word& word_of(std::uint32_t worker) { return each_[worker - 1].word; }

  void join(std::uint32_t me) {
    const std::uint64_t bit = std::uint64_t{1} << (me - 1);
    if ((readers_.load(std::memory_order_relaxed) & bit) == 0) {
      readers_.fetch_or(bit, std::memory_order_seq_cst);
    }
  }
  bool enter(std::uint32_t me) {
    join(me);
    word_of(me).exchange(kInside, std::memory_order_seq_cst);
    if (writer_.load(std::memory_order_seq_cst) == kFree) return true;
    leave(me);
    return false;
  }
  void leave(std::uint32_t me) {
    Word& word = word_of(me);
    if (word.exchange(kOutside, std::memory_order_release) == kAwaited) P::futex_wake(word, 1);
  }
  bool wait_shared(Deadline deadline) {
    const std::uint32_t me = P::self();
    while (!enter(me)) {
      if (!rest_while_barred(deadline)) return false;
    }
    return true;
  }
  /// Until W seems free; false if the deadline has passed before.
  bool rest_while_barred(Deadline deadline) {
    for (std::uint32_t n = spin_limit<P>(kSpins); n > 0; --n) {
      if (writer_.load(std::memory_order_relaxed) == kFree) return true;
      P::pause();
    }
    std::uint32_t word = writer_.load(std::memory_order_relaxed);
    while (word != kFree) {
      if (word == kHeld &&
          !writer_.compare_exchange_strong(word, kContended, std::memory_order_relaxed,
                                           std::memory_order_relaxed)) {
        continue;
      }
      if (P::futex_wait(writer_, kContended, deadline) == P::wait_result::timed_out) return false;
      word = writer_.load(std::memory_order_relaxed);
    }
    return true;
  }

  bool take_writers_word() {
    std::uint32_t free = kFree;
    return writer_.compare_exchange_strong(free, kHeld, std::memory_order_seq_cst,
                                           std::memory_order_relaxed);
  }
  void wait_for_writer() {
    for (std::uint32_t n = spin_limit<P>(kSpins); n > 0; --n) {
      if (writer_.load(std::memory_order_relaxed) == kFree && take_writers_word()) return;
      P::pause();
    }
    while (writer_.exchange(kContended, std::memory_order_seq_cst) != kFree) {
      P::futex_wait(writer_, kContended);
    }
  }
  void wait_for_reader(Word& reader) {
    std::uint32_t word = reader.load(std::memory_order_seq_cst);
    for (std::uint32_t n = spin_limit<P>(kSpins); word != kOutside && n > 0; --n) {
      P::pause();
      word = reader.load(std::memory_order_acquire);
    }
    while (word != kOutside) {
      if (word == kInside &&
          !reader.compare_exchange_strong(word, kAwaited, std::memory_order_relaxed,
                                          std::memory_order_acquire)) {
        continue;
      }
      P::futex_wait(reader, kAwaited);
      word = reader.load(std::memory_order_acquire);
    }
  }

  Word writer_{};
  typename P::template atomic<std::uint64_t> readers_{};
  Reader each_[kMaxWorkers];
};

}  // namespace hobbs
