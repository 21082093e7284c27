// How long an acquire may wait, and the timeout rules of the seeds that lead to it.
#pragma once

#include <chrono>
#include <cmath>
#include <optional>

#include "locks/errors.h"
#include "locks/platform.h"
#include "locks/reference/waiting.h"

namespace hobbs {

using Seconds = std::chrono::duration<double>;

/// Not at all, until a moment, or for ever.
struct Patience {
  bool block = true;
  std::optional<SteadyTime> deadline;

  static Patience none() { return {false, std::nullopt}; }
  static Patience forever() { return {true, std::nullopt}; }
  static Patience until(SteadyTime deadline) { return {true, deadline}; }
};

/// multiprocessing: none waits for ever; zero and negative are a try; block=false ignores it. Not
/// a number is kBadArgument (the real one reports EINVAL, and only when the lock is held, and
/// takes infinity for EINVAL as well: here it is what it says).
template <class P>
Patience process_patience(bool block, std::optional<Seconds> timeout) {
  if (!block) return Patience::none();
  if (!timeout) return Patience::forever();
  if (std::isnan(timeout->count())) {
    throw LockError(LockErrorKind::kBadArgument, "the timeout is not a number");
  }
  if (timeout->count() <= 0) return Patience::none();
  return Patience::until(deadline_after<P>(*timeout));
}

/// The longest timeout of threading, in seconds.
inline constexpr Seconds kThreadTimeoutMax{9223372036.0};

/// threading: -1 waits for ever; any other negative value, a timeout together with
/// blocking=false, and NaN are kBadArgument; more than kThreadTimeoutMax, and infinities, are
/// kOutOfRange.
template <class P>
Patience thread_patience(bool blocking, Seconds timeout) {
  const double seconds = timeout.count();
  if (std::isnan(seconds)) {
    throw LockError(LockErrorKind::kBadArgument, "the timeout is not a number");
  }
  if (std::isinf(seconds) || timeout > kThreadTimeoutMax) {
    throw LockError(LockErrorKind::kOutOfRange, "timeout value is too large");
  }
  if (!blocking && seconds != -1) {
    throw LockError(LockErrorKind::kBadArgument, "can't specify a timeout for a non-blocking call");
  }
  if (seconds < 0 && seconds != -1) {
    throw LockError(LockErrorKind::kBadArgument, "timeout value must be a non-negative number");
  }
  if (!blocking) return Patience::none();
  if (seconds == -1) return Patience::forever();
  return Patience::until(deadline_after<P>(timeout));
}

}  // namespace hobbs
