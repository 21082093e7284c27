// What the reader- and the writer-preferring lock share: one futex word, one slow path for both
// modes, timed and try forms, upgrade and downgrade. They differ in what bars a reader.
//
//   state                  shared acquire             exclusive acquire      upgrade by a reader
//   free                   r=1                        W                      invalid
//   r readers              r+1 (or waits, if barred)  waits                  r=1: W; else U, waits
//   r readers, U           as above                   waits                  kUpgradeRefused
//   W                      waits                      waits                  invalid
//   release: W -> free; r -> r-1. downgrade: W -> r=1.
//
// Besides W, U and r the word counts waiting writers, if a reader minds them (writer preference),
// and has a bit S: somebody sleeps. Who sleeps has set S in a word that bars him. Every change that
// lets a sleeper in clears S in the same step and then wakes all: W cleared, the last reader gone,
// all readers but the upgrader gone, or the last waiting writer gone by timeout. So no wake is
// lost; all look again, and who is still barred sets S again. After its step a release touches
// nothing but the word's address.
//
// Two readers that both upgrade would wait for each other: U admits one, and the second is refused,
// keeping its shared hold. An upgrade passes by waiting writers, as they wait for the upgrader too.
//
// Memory orders. Each step that enters is an acquire and each that leaves a release (downgrade too:
// readers must see the section). All changes are read-modify-writes, so a release's sequence goes
// on through all later ones, and a writer synchronises with every reader that left before. Setting
// S, U or a waiting writer and the waiting reads are relaxed.
#pragma once

#include <climits>
#include <optional>

#include "locks/lock.h"
#include "locks/reference/interrupt.h"
#include "locks/reference/patience.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P, bool kWritersFirst>
class FutexRwLock : public TimedLocking<FutexRwLock<P, kWritersFirst>, P>,
                    public TimedSharedLocking<FutexRwLock<P, kWritersFirst>, P> {
 public:
  using Deadline = std::optional<typename P::time_point>;

  void lock() {
    if (!try_enter(kExclusive)) wait(kExclusive, std::nullopt);
  }
  bool try_lock() { return try_enter(kExclusive); }
  bool try_lock_until(typename P::time_point deadline) {
    return try_enter(kExclusive) || wait(kExclusive, deadline);
  }
  using TimedLocking<FutexRwLock, P>::try_lock_until;
  void unlock() {
    const std::uint32_t was = word_.fetch_and(~(kWriter | kSleepers), std::memory_order_release);
    if ((was & kSleepers) != 0) wake_all();
  }

  void lock_shared() {
    if (!try_enter(kShared)) wait(kShared, std::nullopt);
  }
  bool try_lock_shared() { return try_enter(kShared); }
  bool try_lock_shared_until(typename P::time_point deadline) {
    return try_enter(kShared) || wait(kShared, deadline);
  }
  using TimedSharedLocking<FutexRwLock, P>::try_lock_shared_until;
  void unlock_shared() {
    std::uint32_t word = word_.load(std::memory_order_relaxed), next;
    do {
      next = word - 1;
      const bool enables = readers(next) == 0 || ((next & kUpgrader) != 0 && readers(next) == 1);
      if (enables) next &= ~kSleepers;
    } while (!word_.compare_exchange_weak(word, next, std::memory_order_release,
                                          std::memory_order_relaxed));
    if (((word ^ next) & kSleepers) != 0) wake_all();
  }

  /// Whether it was acquired; kInterrupted as in interrupt.h.
  bool take(const Patience& patience) {
    return try_enter(kExclusive) || (patience.block && wait(kExclusive, patience.deadline));
  }
  bool take_shared(const Patience& patience) {
    return try_enter(kShared) || (patience.block && wait(kShared, patience.deadline));
  }

  /// How many hold it: stale by the time it is read.
  std::uint32_t holders() const {
    const std::uint32_t word = word_.load(std::memory_order_relaxed);
    return readers(word) + ((word & kWriter) != 0 ? 1 : 0);
  }

  /// Shared to exclusive, atomically; waits for the other readers. kAcquired, or kUpgradeRefused,
  /// with the shared hold kept, if another reader is waiting to do the same.
  Outcome upgrade() {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      if ((word & kUpgrader) != 0) return Outcome::kUpgradeRefused;
      if (readers(word) == 1) {
        if (become_writer(word)) return Outcome::kAcquired;
      } else if (word_.compare_exchange_strong(word, word | kUpgrader, std::memory_order_relaxed,
                                               std::memory_order_relaxed)) {
        break;
      }
    }
    word = word_.load(std::memory_order_relaxed);
    for (std::uint32_t looks = spin_limit<P>(kSpins);;) {
      if (readers(word) != 1) {
        rest(word, looks, std::nullopt);
      } else if (become_writer(word)) {
        return Outcome::kAcquired;
      }
    }
  }
  /// The same without waiting: false, with the shared hold kept, if there are other readers.
  bool try_upgrade() {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    while (readers(word) == 1) {
      if (become_writer(word)) return true;
    }
    return false;
  }
  /// Exclusive to shared, atomically; never waits.
  void downgrade() {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    while (!word_.compare_exchange_weak(word, (word & ~(kWriter | kSleepers)) + 1,
                                        std::memory_order_release, std::memory_order_relaxed)) {
    }
    if ((word & kSleepers) != 0) wake_all();
  }

 private:
  // Readers in the low 16 bits, waiting writers in the next 13.
  static constexpr std::uint32_t kReaders = 0xffff, kOneWaitingWriter = 0x10000,
                                 kWaitingWriters = 0x1fff0000;
  static constexpr std::uint32_t kUpgrader = 1u << 29, kSleepers = 1u << 30, kWriter = 1u << 31;
  static constexpr std::uint32_t kSpins = 400;
  static_assert(kMaxWorkers <= kReaders);

  /// What tells the modes apart: which bits bar the way, what entering adds, and what waiting adds.
  struct Entry {
    std::uint32_t barred_by, entered, waiting;
  };
  static constexpr Entry kExclusive{kWriter | kReaders, kWriter,
                                    kWritersFirst ? kOneWaitingWriter : 0};
  static constexpr Entry kShared{kWriter | (kWritersFirst ? kWaitingWriters | kUpgrader : 0), 1, 0};

  static constexpr std::uint32_t readers(std::uint32_t word) { return word & kReaders; }

  bool enter(std::uint32_t& word, const Entry& entry, std::uint32_t waiting) {
    return word_.compare_exchange_strong(word, word + entry.entered - waiting,
                                         std::memory_order_acquire, std::memory_order_relaxed);
  }
  bool try_enter(const Entry& entry) {
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    while ((word & entry.barred_by) == 0) {
      if (enter(word, entry, 0)) return true;
    }
    return false;
  }
  bool wait(const Entry& entry, Deadline deadline) {
    // Counted before the first look, so that writer preference holds for one who spins, too.
    std::uint32_t word =
        entry.waiting == 0
            ? word_.load(std::memory_order_relaxed)
            : word_.fetch_add(entry.waiting, std::memory_order_relaxed) + entry.waiting;
    std::uint32_t looks = spin_limit<P>(kSpins);
    for (bool expired = false;;) {
      if ((word & entry.barred_by) == 0) {
        if (enter(word, entry, entry.waiting)) return true;
      } else if (expired) {
        return give_up(word, entry);
      } else if (wait_is_interrupted()) {
        give_up(word, entry);
        throw_interrupted();
      } else {
        expired = rest(word, looks, deadline);
      }
    }
  }
  /// A waiting writer that leaves opens the door to readers who were barred by it alone.
  bool give_up(std::uint32_t word, const Entry& entry) {
    if (entry.waiting == 0) return false;
    std::uint32_t next;
    do {
      next = word - entry.waiting;
      if ((next & kShared.barred_by) == 0) next &= ~kSleepers;
    } while (!word_.compare_exchange_weak(word, next, std::memory_order_relaxed,
                                          std::memory_order_relaxed));
    if (((word ^ next) & kSleepers) != 0) wake_all();
    return false;
  }
  /// The last reader, who wants to be the writer.
  bool become_writer(std::uint32_t& word) {
    return word_.compare_exchange_strong(word, (word & ~kUpgrader) - 1 + kWriter,
                                         std::memory_order_acquire, std::memory_order_relaxed);
  }
  /// Pauses while `looks` last, then sleeps unless the word changes, and renews `word`. True if the
  /// deadline has passed.
  bool rest(std::uint32_t& word, std::uint32_t& looks, Deadline deadline) {
    bool expired = false;
    if (looks > 0) {
      --looks;
      P::pause();
    } else if ((word & kSleepers) != 0 ||
               word_.compare_exchange_strong(word, word | kSleepers, std::memory_order_relaxed,
                                             std::memory_order_relaxed)) {
      expired = P::futex_wait(word_, word | kSleepers, deadline) == P::wait_result::timed_out;
    } else {
      return false;  // The failed compare-exchange has renewed it.
    }
    word = word_.load(std::memory_order_relaxed);
    return expired;
  }
  void wake_all() { P::futex_wake(word_, INT_MAX); }

  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs
