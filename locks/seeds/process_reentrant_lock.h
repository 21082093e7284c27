// The process re-entrant lock: Python's multiprocessing.RLock in C++ terms.
//
//   state            acquire by the owner / another    release by the owner     by another
//   free             - / owned, depth 1                -                        kNotOwner
//   owned, depth n   depth n+1, true / waits, or       depth n-1; at 0 free,    kNotOwner
//                    false at once or at the timeout   and one waiter goes on
//
// Shared as the process lock is: by inherited memory, by fork, by name, with Python. Over a name
// the owner and the depth are the view's own, as they are in Python: the semaphore shows only that
// somebody holds it.
//
// Claims: processes and threads, at any address; owned by a thread of a process, so that neither
// another thread nor a forked child (however forked) releases or re-enters; an owner that dies
// leaves it locked for ever; no order among waiters.
// Memory orders: semaphore_word.h orders the sections; ownership.h has the rest.
// Source: Python library reference, multiprocessing.RLock.
// Not copied: the real one takes a bare fork's child, and a thread that got a dead owner's id, for
// the owner; a re-entry skips the check of the arguments.
#pragma once

#include <utility>

#include "locks/reference/lockable.h"
#include "locks/seeds/named_semaphore.h"
#include "locks/seeds/ownership.h"
#include "locks/seeds/semaphore_word.h"

namespace hobbs {

/// `Word` is where the semaphore is: in the object, or a NamedSemaphore.
template <class P, class Word>
class BasicProcessReentrantLock : public TimedLockable<BasicProcessReentrantLock<P, Word>, P> {
 public:
  static constexpr Claims claims = {.reentrant = true,
                                    .checks_misuse = true,
                                    .pristine_when_free = true,
                                    .max_depth = Ownership<P>::kMaxDepth,
                                    .across_namespaces = true,
                                    .waits_asleep = true};

  BasicProcessReentrantLock() requires std::is_constructible_v<Word, std::uint32_t> : word_(1) {}
  /// Over a semaphore made with the value 1.
  explicit BasicProcessReentrantLock(Word word) requires std::is_move_constructible_v<Word>
      : word_(std::move(word)) {}

  /// Whether it was acquired. Timeout rules and errors: process_patience(), at every depth;
  /// kOutOfRange beyond 2^32-1 levels.
  bool acquire(bool block = true, std::optional<Seconds> timeout = std::nullopt) {
    return take(process_patience<P>(block, timeout));
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
      throw LockError(LockErrorKind::kNotOwner,
                      "attempt to release recursive lock not owned by thread");
    }
    if (ownership_.end()) word_.give(1);
  }

  bool is_mine() const { return ownership_.is_mine(); }
  /// How often the caller holds it.
  std::uint32_t depth() const { return ownership_.depth(); }

 private:
  Word word_;
  Ownership<P> ownership_;
};

template <class P>
using ProcessReentrantLock = BasicProcessReentrantLock<P, SemaphoreWord<P>>;
using NamedProcessReentrantLock = BasicProcessReentrantLock<RealPlatform, NamedSemaphore>;

}  // namespace hobbs
