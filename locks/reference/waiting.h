// What the reference locks share: how long to look before sleeping, and deadlines.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "locks/platform.h"

namespace hobbs {

/// How often a waiter that means to sleep looks first: `wanted`, unless the platform knows better.
template <class P>
constexpr std::uint32_t spin_limit(std::uint32_t wanted) {
  if constexpr (requires { P::spin_limit(wanted); }) {
    return P::spin_limit(wanted);
  } else {
    return wanted;
  }
}

/// The distance that keeps two words on different cache lines.
template <class P>
constexpr std::size_t cache_line_bytes() {
  if constexpr (requires { P::kCacheLineBytes; }) {
    return P::kCacheLineBytes;
  } else {
    return 64;
  }
}

/// Pauses `times` in a row, at least once. Under control a pause means "until memory changes", so
/// a second one without a look between could sleep for ever: there it is exactly one.
template <class P>
void pause_for(std::uint32_t times) {
  P::pause();
  for (std::uint32_t n = spin_limit<P>(times); n > 1; --n) P::pause();
}

/// Leaves a lock that was just released to those who look at it, for as long as `times` pauses.
/// Looks at nothing, as what it released may be gone; so under control, where a pause waits for a
/// change, it is nothing at all.
template <class P>
void give_way(std::uint32_t times) {
  for (std::uint32_t n = spin_limit<P>(times); n > 0; --n) P::pause();
}

/// The moment `patience` from now: at once if it is zero, negative or no number, and the end of
/// time if it lies beyond that. Rounded up, so that a wait is never early.
template <class P, class Rep, class Period>
typename P::time_point deadline_after(const std::chrono::duration<Rep, Period>& patience) {
  using Time = typename P::time_point;
  using Seconds = std::chrono::duration<double>;
  const Time now = P::now();
  if (!(patience > patience.zero())) return now;
  if (Seconds(patience) >= Seconds(Time::max() - now)) return Time::max();
  return now + std::chrono::ceil<typename Time::duration>(patience);
}

/// The rest of TimedLockable for a `Lock` that has try_lock_until(P::time_point); it says
/// `using TimedLocking<Lock, P>::try_lock_until;`.
template <class Lock, class P>
class TimedLocking {
 public:
  template <class Rep, class Period>
  bool try_lock_for(const std::chrono::duration<Rep, Period>& patience) {
    return static_cast<Lock*>(this)->try_lock_until(deadline_after<P>(patience));
  }
  /// For other clocks, which may be set while we wait: asks that clock before it gives up.
  template <class Clock, class Duration>
  bool try_lock_until(const std::chrono::time_point<Clock, Duration>& deadline) {
    do {
      if (try_lock_for(deadline - Clock::now())) return true;
    } while (Clock::now() < deadline);
    return false;
  }
};

/// The same for the shared mode.
template <class Lock, class P>
class TimedSharedLocking {
 public:
  template <class Rep, class Period>
  bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& patience) {
    return static_cast<Lock*>(this)->try_lock_shared_until(deadline_after<P>(patience));
  }
  template <class Clock, class Duration>
  bool try_lock_shared_until(const std::chrono::time_point<Clock, Duration>& deadline) {
    do {
      if (try_lock_shared_for(deadline - Clock::now())) return true;
    } while (Clock::now() < deadline);
    return false;
  }
};

}  // namespace hobbs
