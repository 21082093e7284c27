// Robust mutex: the owner's id is in the word, and a dead owner's lock passes to the next acquirer,
// who is told (Outcome::kOwnerDied).
//
//   state                        lock                   try_lock         unlock by owner / other
//   0 free                       me, acquired           me, acquired     kNotLocked / kNotLocked
//   owner                 held   +spinner, then         kBusy            0 / kNotOwner
//                                +waiters, sleeps
//   owner + spinner       held   as above               kBusy            0, gives way / kNotOwner
//   owner + waiters       held   sleeps                 kBusy            0, wakes one / kNotOwner
//   dead owner (+waiters)        me + waiters, told     me + waiters,    - / kNotOwner
//                                                       told
//
// There is no moment at which a death goes unseen: one compare-exchange takes the lock and names
// the owner, one exchange gives it up, and a recoverer who dies is a dead owner like any other.
// A wake can be lost with the waiter that it woke, with the unlocker before it was sent, or with a
// newcomer who takes the lock without knowing of sleepers. So nobody sleeps for longer than
// kLongestNap without looking: whether the lock is free, and whether its owner lives.
// The owner is asked for only after a nap that nobody ended: asking costs a system call.
//
// Giving way. Whoever has just unlocked finds the word free, in its own cache, long before a
// spinner has seen it, and would go on taking it until the spinner's waits are as long as a sleep.
// So a spinner says so in the word, and an unlocker that reads this pauses for as long as a spinner
// needs. The bit promises nothing: every unlock and every change of the owner drops it, a spinner
// that still looks sets it again, one that died costs the next unlocker those pauses, once.
//
// Memory orders. Each compare-exchange that takes the lock is an acquire, unlock()'s exchange a
// release, and all changes are read-modify-writes: a taker synchronises with the last unlock even
// if owners died since (they prolong its release sequence). What a dead owner wrote is ordered by
// its death, which alive() has observed. Setting the two bits and the reads are relaxed: they only
// choose what to try next; the kernel compares the word again before a sleep. After the exchange
// that frees it, unlock() touches nothing but the word's address.
//
// Claims: owner-died is reported, exactly once a death that is followed by an acquire; refuses the
// release of a non-holder, and lock() by the holder (std::errc::resource_deadlock_would_occur); no
// fairness; zero bytes when free. Worker ids must not be used again while their holder's death has
// not been noticed.
// Source: kernel Documentation/locking/robust-futexes.rst for the idea of the owner in the word;
// pthread_mutexattr_setrobust(3) for the behaviour. The kernel's robust list is not used.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <system_error>

#include "locks/lock.h"
#include "locks/reference/acquisition.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class RobustMutex : public TimedLocking<RobustMutex<P>, P> {
 public:
  using Deadline = std::optional<typename P::time_point>;
  static constexpr Claims claims{.crash = CrashBehaviour::kOwnerDied,
                                 .checks_misuse = true,
                                 .pristine_when_free = true,
                                 .waits_asleep = true};

  /// kAcquired or kOwnerDied. Throws std::system_error if the caller holds it already.
  Acquisition lock() { return take_free() ? Outcome::kAcquired : wait(std::nullopt); }
  /// kAcquired, kOwnerDied or kBusy.
  Acquisition try_lock() {
    if (take_free()) return Outcome::kAcquired;
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      if (const auto outcome = attempt(word, 0, true)) return *outcome;
    }
  }
  /// kAcquired, kOwnerDied or kTimedOut.
  Acquisition try_lock_until(typename P::time_point deadline) {
    return take_free() ? Outcome::kAcquired : wait(deadline);
  }
  using TimedLocking<RobustMutex, P>::try_lock_until;

  /// kReleased, or kNotOwner or kNotLocked and nothing has changed.
  Outcome unlock() {
    const std::uint32_t owner = word_.load(std::memory_order_relaxed) & kOwner;
    if (owner != P::self()) return owner == 0 ? Outcome::kNotLocked : Outcome::kNotOwner;
    const std::uint32_t was = word_.exchange(0, std::memory_order_release);
    if ((was & kWaiters) != 0) {
      P::futex_wake(word_, 1);
    } else if ((was & kSpinner) != 0) {
      give_way<P>(kCourtesy);
    }
    return Outcome::kReleased;
  }

 private:
  static constexpr std::uint32_t kOwner = 0x7f, kSpinner = 1u << 30, kWaiters = 1u << 31;
  static constexpr std::uint32_t kSpins = 400, kCourtesy = 4;
  static constexpr std::chrono::milliseconds kFirstNap{1}, kLongestNap{8};
  static_assert(kMaxWorkers <= kOwner);

  bool take_free() {
    std::uint32_t free = 0;
    return word_.compare_exchange_strong(free, P::self(), std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }

  /// One try at the lock as `word` shows it: the outcome of a try; nothing, and `word` is renewed,
  /// if it has changed meanwhile.
  std::optional<Outcome> attempt(std::uint32_t& word, std::uint32_t sleepers, bool ask_if_alive) {
    const std::uint32_t owner = word & kOwner;
    if (owner != 0 && (!ask_if_alive || P::alive(owner))) return Outcome::kBusy;
    const std::uint32_t mine = P::self() | sleepers | (owner == 0 ? word & kWaiters : kWaiters);
    if (!word_.compare_exchange_strong(word, mine, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      return std::nullopt;
    }
    return owner == 0 ? Outcome::kAcquired : Outcome::kOwnerDied;
  }

  /// Whether it was taken while spinning.
  bool spin() {
    for (std::uint32_t n = spin_limit<P>(kSpins);; --n) {
      std::uint32_t word = word_.load(std::memory_order_relaxed);
      if (word == 0) {
        if (take_free()) return true;
      } else if ((word & (kSpinner | kWaiters)) == 0) {
        word_.compare_exchange_strong(word, word | kSpinner, std::memory_order_relaxed,
                                      std::memory_order_relaxed);
      }
      if (n == 0) return false;
      P::pause();
    }
  }

  Outcome wait(Deadline deadline) {
    if (spin()) return Outcome::kAcquired;
    std::uint32_t sleepers = 0;  // kWaiters once we have slept: others may be asleep still.
    bool nap_ended_by_nobody = false, expired = false;
    auto nap = kFirstNap;
    std::uint32_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      const std::optional<Outcome> outcome = attempt(word, sleepers, nap_ended_by_nobody);
      if (!outcome) continue;
      if (*outcome != Outcome::kBusy) return *outcome;
      if ((word & kOwner) == P::self()) {
        throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur));
      }
      if (expired) return Outcome::kTimedOut;
      if ((word & kWaiters) == 0 &&
          !word_.compare_exchange_strong(word, word | kWaiters, std::memory_order_relaxed,
                                         std::memory_order_relaxed)) {
        continue;
      }
      sleepers = kWaiters;
      auto until = P::now() + nap;
      if (deadline && *deadline < until) until = *deadline;
      nap_ended_by_nobody =
          P::futex_wait(word_, word | kWaiters, until) == P::wait_result::timed_out;
      if (nap_ended_by_nobody) {
        expired = deadline && P::now() >= *deadline;
        nap = std::min(2 * nap, kLongestNap);
      }
      word = word_.load(std::memory_order_relaxed);
    }
  }

  typename P::template atomic<std::uint32_t> word_{};
};

}  // namespace hobbs
