// The standard's lock surface over one call, so that each lock is written once.
//
// A lock derives from TimedLockable<Lock, P> and supplies `bool take(const Patience&)` and
// `void release()`; from SharedTimedLockable<Lock, P> as well, with `take_shared` and
// `release_shared`. It then works with std::unique_lock, shared_lock, scoped_lock and lock().
#pragma once

#include "locks/reference/patience.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class Lock, class P>
class TimedLockable : public TimedLocking<Lock, P> {
 public:
  using TimedLocking<Lock, P>::try_lock_until;

  void lock() { self().take(Patience::forever()); }
  [[nodiscard]] bool try_lock() { return self().take(Patience::none()); }
  [[nodiscard]] bool try_lock_until(SteadyTime deadline) {
    return self().take(Patience::until(deadline));
  }
  void unlock() { self().release(); }

 private:
  Lock& self() { return static_cast<Lock&>(*this); }
};

template <class Lock, class P>
class SharedTimedLockable : public TimedSharedLocking<Lock, P> {
 public:
  using TimedSharedLocking<Lock, P>::try_lock_shared_until;

  void lock_shared() { self().take_shared(Patience::forever()); }
  [[nodiscard]] bool try_lock_shared() { return self().take_shared(Patience::none()); }
  [[nodiscard]] bool try_lock_shared_until(SteadyTime deadline) {
    return self().take_shared(Patience::until(deadline));
  }
  void unlock_shared() { self().release_shared(); }

 private:
  Lock& self() { return static_cast<Lock&>(*this); }
};

}  // namespace hobbs
