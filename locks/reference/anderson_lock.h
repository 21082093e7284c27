// Anderson's array lock: a ticket names the slot on which its holder waits.
//
//   state                       lock                           try_lock                unlock
//   slot[tail] open      free   tail+1, closes the slot        tail+1, closes it       invalid
//   all slots closed     held   tail+1, waits for his slot     false                   opens next
//
// A slot's word says in its lowest bit whether it is open, inverted for slot 0, so that a lock of
// zero bytes has exactly slot 0 open.
//
// Memory orders. Drawing a place is relaxed: the word's modification order is all it needs. The
// acquire load that finds the slot open reads the previous holder's release store: that orders the
// sections, for try_lock() too, whose compare-exchange succeeds only if nobody has drawn since (an
// open slot stays open until it is drawn, so it then is the caller's). Closing the slot is
// relaxed: whoever opens it next does so after a chain of such pairs that begins with this holder.
// `held_` is relaxed: only the holder touches it.
//
// Claims: first come, first served; at most kSlots workers, and no more than kMaxWorkers exist.
// Not pristine: the tail stays.
// Source: T. Anderson, "The performance of spin lock alternatives for shared-memory
// multiprocessors", IEEE TPDS 1(1), 1990.
#pragma once

#include "locks/lock.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class AndersonLock {
 public:
  static constexpr std::uint32_t kSlots = 64;
  static constexpr Claims claims{.fairness = Fairness::kFifo, .max_workers = kSlots};

  void lock() {
    const std::uint32_t slot = tail_.fetch_add(1, std::memory_order_relaxed) % kSlots;
    while (!is_open(slot)) P::pause();
    enter(slot);
  }
  bool try_lock() {
    std::uint32_t place = tail_.load(std::memory_order_relaxed);
    if (!is_open(place % kSlots) ||
        !tail_.compare_exchange_strong(place, place + 1, std::memory_order_relaxed,
                                       std::memory_order_relaxed)) {
      return false;
    }
    enter(place % kSlots);
    return true;
  }
  void unlock() {
    const std::uint32_t next = (held_.load(std::memory_order_relaxed) + 1) % kSlots;
    slots_[next].word.store(word_of(next, true), std::memory_order_release);
  }

 private:
  static_assert(kSlots >= kMaxWorkers && (1ull << 32) % kSlots == 0,
                "two waiters must never share a slot, also when the tail wraps");

  struct alignas(cache_line_bytes<P>()) Slot {
    typename P::template atomic<std::uint32_t> word{};
  };

  static constexpr std::uint32_t word_of(std::uint32_t slot, bool open) {
    return static_cast<std::uint32_t>(open != (slot == 0));
  }
  bool is_open(std::uint32_t slot) const {
    return slots_[slot].word.load(std::memory_order_acquire) == word_of(slot, true);
  }
  void enter(std::uint32_t slot) {
    slots_[slot].word.store(word_of(slot, false), std::memory_order_relaxed);
    held_.store(slot, std::memory_order_relaxed);
  }

  typename P::template atomic<std::uint32_t> tail_{};
  typename P::template atomic<std::uint32_t> held_{};  // The holder's slot; only it touches it.
  Slot slots_[kSlots];
};

}  // namespace hobbs
