// The thread re-entrant lock: Python's threading.RLock in C++ terms.
//
//   state            acquire by the owner / another    release by the owner     by another
//   free             - / owned, depth 1                -                        kNotOwner
//   owned, depth n   depth n+1, true / waits, or       depth n-1; at 0 free,    kNotOwner
//                    false at once or at the timeout   and one waiter goes on
//
// Claims: threads of one process; owned by a thread; a thread that ends leaves it locked; a forked
// child gets a private copy in the same state, in which the parent's thread remains the owner, so
// nobody there holds it until it is made new; no order among waiters.
// Memory orders: binary_word.h orders the sections; ownership.h has the rest.
// Source: Python library reference, threading.RLock.
// Not copied: in the real one a forked child's thread is the owner, if its parent was, and so is a
// thread that got a dead owner's id.
#pragma once

#include "locks/reference/lockable.h"
#include "locks/seeds/binary_word.h"
#include "locks/seeds/ownership.h"

namespace hobbs {

template <class P>
class ThreadReentrantLock : public TimedLockable<ThreadReentrantLock<P>, P> {
 public:
  static constexpr Claims claims = {.process_shared = false,
                                    .reentrant = true,
                                    .fork = ForkBehaviour::kPrivateCopy,
                                    .checks_misuse = true,
                                    .pristine_when_free = true,
                                    .max_depth = Ownership<P>::kMaxDepth};

  /// Whether it was acquired. Timeout rules and errors: thread_patience(), at every depth;
  /// kOutOfRange beyond 2^32-1 levels.
  bool acquire(bool blocking = true, Seconds timeout = Seconds(-1)) {
    return take(thread_patience<P>(blocking, timeout));
  }
  bool take(const Patience& patience) {
    if (ownership_.is_mine()) {
      ownership_.deepen();
      return true;
    }
    if (!word_.take(patience)) return false;
    ownership_.begin();
    return true;
  }

  /// kNotOwner, and nothing changed, unless the caller holds it.
  void release() {
    if (!ownership_.is_mine()) {
      throw LockError(LockErrorKind::kNotOwner, "cannot release un-acquired lock");
    }
    if (ownership_.end()) word_.give();
  }

  bool is_mine() const { return ownership_.is_mine(); }
  /// How often the caller holds it.
  std::uint32_t depth() const { return ownership_.depth(); }

  /// Makes a forked child's copy free. Only while no other thread of the child uses it.
  void reinitialize_after_fork() {
    ownership_.forget();
    word_.reset();
  }

 private:
  BinaryWord<P> word_;
  Ownership<P> ownership_;
};

}  // namespace hobbs
