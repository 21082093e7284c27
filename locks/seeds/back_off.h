// How the file locks wait: by trying again, a little later each time.
//
// Attempt n = 1, 2, ...; after one that fails the pause is n * delay, but at most max_delay and at
// most what is left of the timeout. There is no jitter. Once more than the timeout has passed an
// attempt that fails is the last one: so one attempt follows the deadline.
//
// Source: fasteners' documentation of acquire(), and its process_lock.py (0.17.3).
// Not copied: the real one takes NaN for a timeout and then tries for ever without a pause; here
// what is not a number is kBadArgument.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <ctime>
#include <functional>

#include "locks/reference/interrupt.h"
#include "locks/reference/patience.h"

namespace hobbs {

/// How an acquire waits; the documented defaults.
struct BackOff {
  bool blocking = true;  // False: one attempt, and the rest does not matter.
  Seconds delay{0.01};
  Seconds max_delay{0.1};
  std::optional<Seconds> timeout{};  // None: for ever.

  static BackOff of(const Patience& patience, SteadyTime now) {
    BackOff made{.blocking = patience.block};
    if (patience.deadline) made.timeout = std::max(Seconds(0), Seconds(*patience.deadline - now));
    return made;
  }
};

/// Sleeps as long as it is told. What it throws ends the acquire, which then holds nothing.
using SleepFunction = std::function<void(Seconds)>;

/// The default: goes on after a signal, unless that shall end the wait (interrupt.h).
inline void sleep_through_signals(Seconds duration) {
  constexpr Seconds kCentury{3.2e9};  // What time_t and the kernel can surely be told.
  duration = std::min(duration, kCentury);
  const double whole = std::floor(duration.count());
  timespec left{.tv_sec = static_cast<time_t>(whole),
                .tv_nsec = static_cast<long>((duration.count() - whole) * 1e9)};
  throw_if_interrupted();
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) throw_if_interrupted();
}

/// What acquire() makes of its arguments. kBadArgument for a negative delay or timeout, blocking or
/// not, and for what is not a number; a max_delay below the delay becomes the delay.
inline BackOff checked(BackOff wait) {
  const auto refuse = [](const char* why) { throw LockError(LockErrorKind::kBadArgument, why); };
  if (std::isnan(wait.delay.count()) || std::isnan(wait.max_delay.count()) ||
      (wait.timeout && std::isnan(wait.timeout->count()))) {
    refuse("Delays and timeouts must be numbers");
  }
  if (wait.delay.count() < 0) refuse("Delay must be greater than or equal to zero");
  if (wait.timeout && wait.timeout->count() < 0) {
    refuse("Timeout must be greater than or equal to zero");
  }
  wait.max_delay = std::max(wait.delay, wait.max_delay);
  return wait;
}

/// The pause after the `attempts`-th attempt, `elapsed` after the first one began.
inline Seconds pause_after(const BackOff& wait, std::uint64_t attempts, Seconds elapsed) {
  Seconds pause = std::min(static_cast<double>(attempts) * wait.delay, wait.max_delay);
  if (wait.timeout) pause = std::min(pause, std::max(Seconds(0), *wait.timeout - elapsed));
  return pause;
}

struct BackOffResult {
  bool acquired = false;
  std::uint64_t attempts = 0;
  Seconds waited{0};
};

/// Attempts until `attempt()` is true or the wait, which is checked(), is over.
template <class P, class Attempt>
BackOffResult back_off(const BackOff& wait, const SleepFunction& sleep, Attempt&& attempt) {
  const auto start = P::now();
  for (BackOffResult result{.attempts = 1};; ++result.attempts) {
    result.acquired = attempt();
    result.waited = P::now() - start;
    if (result.acquired || !wait.blocking) return result;
    if (wait.timeout && result.waited > *wait.timeout) return result;
    sleep(pause_after(wait, result.attempts, result.waited));
  }
}

}  // namespace hobbs
