// Broken locks, one a kind of fault that free-running workers must find; and correct ones beside.
#pragma once

#include <cstdint>

#include "locks/platform.h"

namespace hobbs {

/// Looks, and then sets: two can look before either sets (ME-1).
template <class P>
struct CheckThenSetLock {
  typename P::template atomic<std::uint32_t> word;

  bool try_lock() {
    if (word.load(std::memory_order_acquire) != 0) return false;
    P::yield();  // Wide enough to be met on a busy machine.
    word.store(1, std::memory_order_release);
    return true;
  }
  void lock() {
    while (!try_lock()) P::pause();
  }
  void unlock() { word.store(0, std::memory_order_release); }
};

/// A futex mutex that forgets, after a wake, that others may sleep still (LV-1).
template <class P>
struct ForgetfulMutex {
  typename P::template atomic<std::uint32_t> word;  // 0 free, 1 held, 2 held and slept for.

  void lock() {
    std::uint32_t seen = 0;
    if (word.compare_exchange_strong(seen, 1)) return;
    while (true) {
      if (seen == 2 || (seen == 1 && word.compare_exchange_strong(seen, 2))) {
        P::futex_wait(word, 2);
      }
      seen = 0;
      if (word.compare_exchange_strong(seen, 1)) return;  // Right would be 2.
    }
  }
  void unlock() {
    if (word.exchange(0) == 2) P::futex_wake(word, 1);
  }
};

/// A reader looks for a writer, and then counts itself: a writer can come in between (RW-1).
template <class P>
struct GapRwLock {
  typename P::template atomic<std::uint32_t> writer;
  typename P::template atomic<std::uint32_t> readers;

  void lock() {
    std::uint32_t none = 0;
    while (!writer.compare_exchange_strong(none, 1)) {
      none = 0;
      P::pause();
    }
    while (readers.load() != 0) P::pause();
  }
  void unlock() { writer.store(0); }
  void lock_shared() {
    while (writer.load() != 0) P::pause();
    readers.fetch_add(1);
  }
  void unlock_shared() { readers.fetch_sub(1); }
};

}  // namespace hobbs
