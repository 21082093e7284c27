// The process lock: Python's multiprocessing.Lock in C++ terms.
//
//   state     acquire                    release
//   unlocked  locked, true               refused: kOverRelease
//   locked    waits, or false at once    unlocked; one waiter goes on
//             or at the timeout
//
// Claims: processes and threads that share its memory, at any address; not owned, so any process
// or thread releases; not re-entrant; a holder that dies leaves it locked, and anyone may repair
// it with release(); no order among waiters.
// Memory orders: binary_word.h.
// Source: Python library reference, multiprocessing.Lock.
// Not copied: the real one checks and then posts, so two concurrent releases of one hold may both
// succeed and admit two holders (here a release is one exchange); its timeouts follow the wall
// clock's jumps (here the steady clock); it takes infinity and NaN for EINVAL.
#pragma once

#include "locks/reference/binary_word.h"
#include "locks/reference/lockable.h"

namespace hobbs {

template <class P>
class ProcessLock : public TimedLockable<ProcessLock<P>, P> {
 public:
  static constexpr Claims claims = {
      .releaser = Releaser::kAnyone, .checks_misuse = true, .pristine_when_free = true};

  /// Whether it was acquired. Timeout rules and errors: process_patience().
  bool acquire(bool block = true, std::optional<Seconds> timeout = std::nullopt) {
    return take(process_patience<P>(block, timeout));
  }
  bool take(const Patience& patience) { return word_.take(patience); }

  /// kOverRelease if it is not locked.
  void release() {
    if (!word_.give()) {
      throw LockError(LockErrorKind::kOverRelease, "semaphore or lock released too many times");
    }
  }

  bool locked() const { return word_.taken(); }

 private:
  BinaryWord<P, Reach::kProcesses> word_;
};

}  // namespace hobbs
