// The clock of recorded histories: cheap stamps that agree between all workers of a run.
//
// On x86-64 the time-stamp counter, if it runs at one rate for ever and no core was ever seen to be
// behind another; CLOCK_MONOTONIC otherwise, at several times the cost. A stamp becomes nanoseconds
// of CLOCK_MONOTONIC afterwards.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>
#include <string>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace hobbs::gang {

/// Plain memory: laid into the arena, where fresh processes find it.
struct StampClock {
  std::uint64_t origin = 0;    // A stamp ...
  std::int64_t origin_ns = 0;  // ... and its time.
  double ns_per_tick = 1;
  // By how much stamps may be in the wrong order: what comparing cores cannot see, and the little
  // by which a processor runs ahead of a stamp.
  std::int64_t error_ns = 40;
  bool counter = false;  // The time-stamp counter.

  std::int64_t to_ns(std::uint64_t stamp) const {
    const auto ticks = static_cast<std::int64_t>(stamp - origin);
    return origin_ns + static_cast<std::int64_t>(static_cast<double>(ticks) * ns_per_tick);
  }
};

/// The clock of this machine, measured at the first call, which takes some 10 ms and moves the
/// calling thread from core to core and back. Not thread-safe.
const StampClock& calibrated_clock();

/// CLOCK_MONOTONIC instead of the counter.
StampClock plain_clock();

/// "time-stamp counter, 2.60 ticks a ns, ...", or why not.
std::string describe(const StampClock& clock);

namespace internal {
inline std::uint64_t monotonic_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(time.tv_nsec);
}
}  // namespace internal

/// Passes an address through the stamp, so that the processor cannot read from there before it has
/// taken the stamp. What follows may store only after the stamp in any case.
template <class T>
void go_after(std::uint64_t stamp, T*& object) {
#if defined(__x86_64__)
  // Through its lower half, which the processor hands over first.
  auto low = static_cast<std::uint32_t>(stamp);
  asm volatile("and $0, %1\n\tadd %q1, %0" : "+r"(object), "+r"(low) : : "cc", "memory");
#endif
}

/// A stamp no later than anything that follows and goes by `*object`: see go_after().
template <class T>
std::uint64_t stamp_before(const StampClock& clock, T*& object) {
#if defined(__x86_64__)
  if (clock.counter) {
    std::uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    go_after(low, object);
    return std::uint64_t{high} << 32 | low;
  }
#endif
  static_cast<void>(object);
  return internal::monotonic_ns();
}

/// A stamp no earlier than anything before it has been executed. A store before it may still be
/// unseen: a full fence must stand between.
inline std::uint64_t stamp_after(const StampClock& clock) {
#if defined(__x86_64__)
  if (clock.counter) {
    // Not __rdtscp(), which stores the core's number: one store more for the next fence.
    std::uint32_t low, high;
    asm volatile("rdtscp" : "=a"(low), "=d"(high) : : "ecx", "memory");
    return std::uint64_t{high} << 32 | low;
  }
#endif
  return internal::monotonic_ns();
}

}  // namespace hobbs::gang
