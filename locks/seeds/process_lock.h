// The process lock: Python's multiprocessing.Lock in C++ terms.
//
//   state     acquire                    release
//   unlocked  locked, true               refused: kOverRelease
//   locked    waits, or false at once    unlocked; one waiter goes on
//             or at the timeout
//
// Shared by inherited memory (the object itself), by fork (likewise) or by name (over a
// NamedSemaphore); in each case a live Python process may be among the users: semaphore_word.h.
//
// Claims: processes and threads, at any address; not owned, so any process or thread releases; not
// re-entrant; a holder that dies leaves it locked, and anyone may repair it with release(); no
// order among waiters.
// Memory orders: semaphore_word.h.
// Source: Python library reference, multiprocessing.Lock.
// Not copied: the real one checks and then posts, so two concurrent releases of one hold may both
// succeed and admit two holders (here a release is one step); its timeouts follow the wall clock's
// jumps (here the steady clock); it takes infinity and NaN for EINVAL.
#pragma once

#include <utility>

#include "locks/reference/lockable.h"
#include "locks/seeds/named_semaphore.h"
#include "locks/seeds/semaphore_word.h"

namespace hobbs {

/// `Word` is where the semaphore is: in the object, or a NamedSemaphore.
template <class P, class Word>
class BasicProcessLock : public TimedLockable<BasicProcessLock<P, Word>, P> {
 public:
  static constexpr Claims claims = {.releaser = Releaser::kAnyone,
                                    .checks_misuse = true,
                                    .pristine_when_free = true,
                                    .across_namespaces = true,
                                    .waits_asleep = true};

  BasicProcessLock() requires std::is_constructible_v<Word, std::uint32_t> : word_(1) {}
  /// Over a semaphore made with the value 1.
  explicit BasicProcessLock(Word word) requires std::is_move_constructible_v<Word>
      : word_(std::move(word)) {}

  /// Whether it was acquired. Timeout rules and errors: process_patience().
  bool acquire(bool block = true, std::optional<Seconds> timeout = std::nullopt) {
    return take(process_patience<P>(block, timeout));
  }
  bool take(const Patience& patience) { return word_.take(patience); }

  /// kOverRelease if it is not locked.
  void release() {
    if (!word_.give(1)) {
      throw LockError(LockErrorKind::kOverRelease, "semaphore or lock released too many times");
    }
  }

  bool locked() const { return word_.value() == 0; }

 private:
  Word word_;
};

template <class P>
using ProcessLock = BasicProcessLock<P, SemaphoreWord<P>>;
using NamedProcessLock = BasicProcessLock<RealPlatform, NamedSemaphore>;

}  // namespace hobbs
