// The processor's time stamp counter: the cheapest clock there is, the same on all cores of every
// machine with constant_tsc, and calibrated against CLOCK_MONOTONIC.
#pragma once

#include <x86intrin.h>

#include <chrono>
#include <cstdint>

namespace hobbs::bench {

/// Now. The read waits for earlier loads (so for the acquisition that it times), not for stores.
inline std::uint64_t ticks() {
  unsigned core;
  return __rdtscp(&core);
}

class Tsc {
 public:
  /// Measures for 20 ms, twice, and keeps the quicker: an interruption can only make it longer.
  static Tsc calibrate() {
    double per_ns = measure();
    const double again = measure();
    return Tsc(again < per_ns ? again : per_ns);
  }

  std::uint64_t to_ticks(std::int64_t ns) const {
    return ns <= 0 ? 0 : static_cast<std::uint64_t>(static_cast<double>(ns) * ticks_per_ns_);
  }
  /// An interval of counter reads; one that went backwards is 0.
  std::uint64_t to_ns(std::uint64_t from, std::uint64_t to) const {
    return to <= from ? 0
                      : static_cast<std::uint64_t>(static_cast<double>(to - from) / ticks_per_ns_);
  }
  double ticks_per_ns() const { return ticks_per_ns_; }

 private:
  explicit Tsc(double ticks_per_ns) : ticks_per_ns_(ticks_per_ns) {}

  static double measure() {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    const std::uint64_t from = ticks();
    auto end = begin;
    while (end - begin < std::chrono::milliseconds(20)) end = Clock::now();
    const std::uint64_t to = ticks();
    return static_cast<double>(to - from) /
           static_cast<double>(std::chrono::nanoseconds(end - begin).count());
  }

  double ticks_per_ns_;
};

/// Works for that many ticks, without touching memory or the kernel.
inline void busy_for(std::uint64_t duration_ticks) {
  if (duration_ticks == 0) return;
  const std::uint64_t from = ticks();
  while (ticks() - from < duration_ticks) {
  }
}

}  // namespace hobbs::bench
