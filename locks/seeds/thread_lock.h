// The thread lock: Python's threading.Lock in C++ terms.
//
//   state     acquire                    release
//   unlocked  locked, true               refused: kNotLocked
//   locked    waits, or false at once    unlocked; one waiter goes on
//             or at the timeout
//
// Claims: threads of one process; not owned, so any thread releases; not re-entrant (a holder that
// acquires again waits for another thread's release); a thread that ends leaves it locked; a
// forked child gets a private copy in the same state; no order among waiters.
// Memory orders: binary_word.h.
// Source: Python library reference, threading.Lock (its version 2 text is silent on timeouts, on
// locked(), and on releasing an unlocked lock: here as in CPython 3).
#pragma once

#include "locks/reference/lockable.h"
#include "locks/seeds/binary_word.h"

namespace hobbs {

template <class P>
class ThreadLock : public TimedLockable<ThreadLock<P>, P> {
 public:
  static constexpr Claims claims = {.process_shared = false,
                                    .releaser = Releaser::kAnyone,
                                    .fork = ForkBehaviour::kPrivateCopy,
                                    .checks_misuse = true,
                                    .pristine_when_free = true};

  /// Whether it was acquired. Timeout rules and errors: thread_patience().
  bool acquire(bool blocking = true, Seconds timeout = Seconds(-1)) {
    return take(thread_patience<P>(blocking, timeout));
  }
  bool take(const Patience& patience) { return word_.take(patience); }

  /// kNotLocked if it is not locked.
  void release() {
    if (!word_.give()) throw LockError(LockErrorKind::kNotLocked, "release unlocked lock");
  }

  bool locked() const { return word_.taken(); }

  /// Unlocks a forked child's copy. Only while no other thread of the child uses it.
  void reinitialize_after_fork() { word_.reset(); }

 private:
  BinaryWord<P> word_;
};

}  // namespace hobbs
