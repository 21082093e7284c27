// The counting and the bounded semaphore: Python's multiprocessing.Semaphore and BoundedSemaphore.
//
//   state     acquire                              release
//   value 0   waits, or false at once or at the    value 1; one waiter goes on
//             timeout
//   value n   value n-1, true                      value n+1; refused (kOverRelease) at the bound:
//                                                  the first value of a bounded one, else 2^31-1
//
// Shared as the process lock is: by inherited memory, by fork, by name, with Python.
//
// Claims: processes and threads, at any address; anyone releases; a user that dies keeps what it
// took; no order among waiters.
// Memory orders: semaphore_word.h.
// Source: Python library reference, multiprocessing.Semaphore, multiprocessing.BoundedSemaphore.
// Not copied: the real bound is checked before the post, so two releases at once may pass it.
#pragma once

#include <utility>

#include "locks/reference/lockable.h"
#include "locks/seeds/named_semaphore.h"
#include "locks/seeds/semaphore_word.h"

namespace hobbs {

enum class Bound : std::uint8_t { kNone, kFirstValue };

/// `Word` is where the semaphore is: in the object, or a NamedSemaphore.
template <class P, class Word>
class BasicProcessSemaphore : public TimedLockable<BasicProcessSemaphore<P, Word>, P> {
 public:
  /// LockError (EINVAL) if `value` exceeds SEM_VALUE_MAX.
  explicit BasicProcessSemaphore(std::uint32_t value, Bound bound = Bound::kNone) requires
      std::is_constructible_v<Word, std::uint32_t>
      : word_(value), most_(bound == Bound::kNone ? SemaphoreWord<P>::kValueMax : value) {}
  /// Over a semaphore that is there already; `most` is the value above which a release is refused.
  explicit BasicProcessSemaphore(
      Word word,
      std::uint32_t most = SemaphoreWord<P>::kValueMax) requires std::is_move_constructible_v<Word>
      : word_(std::move(word)), most_(most) {}

  /// Whether one was acquired. Timeout rules and errors: process_patience().
  bool acquire(bool block = true, std::optional<Seconds> timeout = std::nullopt) {
    return take(process_patience<P>(block, timeout));
  }
  bool take(const Patience& patience) { return word_.take(patience); }

  /// kOverRelease, and nothing changed, at the bound.
  void release() {
    if (!word_.give(most_)) {
      throw LockError(LockErrorKind::kOverRelease, "semaphore or lock released too many times");
    }
  }

  /// A moment's value: stale by the time it is read.
  std::uint32_t value() const { return word_.value(); }

 private:
  Word word_;
  std::uint32_t most_;
};

template <class P>
using ProcessSemaphore = BasicProcessSemaphore<P, SemaphoreWord<P>>;
using NamedProcessSemaphore = BasicProcessSemaphore<RealPlatform, NamedSemaphore>;

}  // namespace hobbs
