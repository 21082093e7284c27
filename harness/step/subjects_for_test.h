// The C library's process-shared locks, and broken relatives, as step's tests use them.
#pragma once

#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "locks/spec_of.h"

namespace hobbs::step_subjects {

inline void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  ::syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
}

/// The three-state futex mutex, correct; the broken ones below differ in one line each.
struct FutexMutex {
  std::atomic<std::uint32_t> word{0};
  void lock() {
    std::uint32_t free = 0;
    if (word.compare_exchange_strong(free, 1)) return;
    while (word.exchange(2) != 0) futex(word, FUTEX_WAIT, 2);
  }
  bool try_lock() {
    std::uint32_t free = 0;
    return word.compare_exchange_strong(free, 1);
  }
  void unlock() {
    if (word.exchange(0) == 2) futex(word, FUTEX_WAKE, 1);
  }
};

struct TestThenSet {  // The test and the set are two steps.
  std::atomic<std::uint32_t> word{0};
  void lock() {
    while (word.load() != 0) ::sched_yield();
    word.store(1);
  }
  void unlock() { word.store(0); }
};

struct ForgetsWaiters : FutexMutex {  // Woken, it takes the lock as if nobody else slept.
  void lock() {
    std::uint32_t seen = 0;
    if (word.compare_exchange_strong(seen, 1)) return;
    for (;;) {
      if (seen == 2 || (seen == 1 && word.compare_exchange_strong(seen, 2))) {
        futex(word, FUTEX_WAIT, 2);
      }
      seen = 0;
      if (word.compare_exchange_strong(seen, 1)) return;
    }
  }
};

struct PrivateFutex : FutexMutex {  // The key of another address space.
  void lock() {
    std::uint32_t free = 0;
    if (word.compare_exchange_strong(free, 1)) return;
    while (word.exchange(2) != 0) futex(word, FUTEX_WAIT_PRIVATE, 2);
  }
  void unlock() {
    if (word.exchange(0) == 2) futex(word, FUTEX_WAKE_PRIVATE, 1);
  }
};

struct NoStoreLoadFence {  // Peterson's lock with release stores and acquire loads.
  static constexpr unsigned max_workers = 2;
  std::atomic<std::uint32_t> flag[2]{};
  std::atomic<std::uint32_t> turn{0};
  void lock() {
    const std::uint32_t me = (RealPlatform::self() - 1) & 1, other = 1 - me;
    flag[me].store(1, std::memory_order_release);
    turn.store(other, std::memory_order_release);
    while (flag[other].load(std::memory_order_acquire) != 0 &&
           turn.load(std::memory_order_acquire) == other) {
      ::sched_yield();
    }
  }
  void unlock() { flag[(RealPlatform::self() - 1) & 1].store(0, std::memory_order_release); }
};

struct PosixMutex {
  pthread_mutex_t mutex;
  PosixMutex() : PosixMutex(false) {}
  explicit PosixMutex(bool robust) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attributes);
  }
  void lock() { pthread_mutex_lock(&mutex); }
  bool try_lock() { return pthread_mutex_trylock(&mutex) == 0; }
  void unlock() { pthread_mutex_unlock(&mutex); }
};

struct PosixRobust : PosixMutex {
  PosixRobust() : PosixMutex(true) {}
  Outcome lock() {
    const int error = pthread_mutex_lock(&mutex);
    if (error == 0) return Outcome::kAcquired;
    if (error != EOWNERDEAD) return Outcome::kSystemError;
    pthread_mutex_consistent(&mutex);
    return Outcome::kOwnerDied;
  }
  bool try_lock() = delete;
};

struct PosixSemaphore {
  sem_t semaphore;
  PosixSemaphore() { sem_init(&semaphore, 1, 1); }
  void lock() {
    while (sem_wait(&semaphore) != 0) {  // A signal ends the wait.
    }
  }
  void unlock() { sem_post(&semaphore); }
};

struct PosixReadWrite {
  pthread_rwlock_t rwlock;
  PosixReadWrite() {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_rwlock_init(&rwlock, &attributes);
  }
  void lock() { pthread_rwlock_wrlock(&rwlock); }
  void unlock() { pthread_rwlock_unlock(&rwlock); }
  void lock_shared() { pthread_rwlock_rdlock(&rwlock); }
  void unlock_shared() { pthread_rwlock_unlock(&rwlock); }
};

/// Takes a dead owner's lock over, if it asks who is dead.
template <bool kAsks>
struct TakesOver {
  std::atomic<std::uint32_t> word{0};
  Outcome lock() {
    for (;;) {
      std::uint32_t owner = 0;
      if (word.compare_exchange_strong(owner, RealPlatform::self())) return Outcome::kAcquired;
      const bool dead = !kAsks || !RealPlatform::alive(owner);
      if (dead && word.compare_exchange_strong(owner, RealPlatform::self())) {
        return Outcome::kOwnerDied;
      }
      ::sched_yield();
    }
  }
  void unlock() { word.store(0); }
};

}  // namespace hobbs::step_subjects
