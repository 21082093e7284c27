// Waits that a signal may end.
//
// A lock that waits goes on waiting when a signal handler returns. A thread that wants some signals
// to end its waits installs a check; the lock asks it before each wait and after each signal, and
// throws LockError(kInterrupted), not holding the lock, when it says yes. As in CPython, a signal
// that arrives between the check and the wait is only seen at the next wake.
#pragma once

#include "locks/errors.h"

namespace hobbs {

/// The calling thread's check; null: never interrupted. Called in that thread, not in a handler.
inline thread_local bool (*interrupt_check)() = nullptr;

/// Whether the caller's wait shall end now. To be asked once: a yes is used up.
inline bool wait_is_interrupted() { return interrupt_check != nullptr && interrupt_check(); }

[[noreturn]] inline void throw_interrupted() {
  throw LockError(LockErrorKind::kInterrupted, "a signal ended the wait");
}

inline void throw_if_interrupted() {
  if (wait_is_interrupted()) throw_interrupted();
}

}  // namespace hobbs
