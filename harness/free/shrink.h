// From a run that broke a rule to the smallest one that still does, and how often it does.
#pragma once

#include <chrono>
#include <cstdint>

#include "harness/free/gang.h"

namespace hobbs::gang {

struct Confirmed {
  Job job;
  Breach breach;  // As it was last seen.
  std::uint64_t failed = 0;
  std::uint64_t of = 0;
};

/// Runs the job again `times` times, each for at most `each`; `breach` becomes the last one seen.
/// A repetition that the job's last moment cuts short does not count.
void repeat(Confirmed& confirmed, std::uint64_t times, std::chrono::milliseconds each,
            std::chrono::steady_clock::time_point until);

/// Drops workers, steps, repetition and nemesis for as long as the same rule still breaks.
/// `took`: how long the run took to show it.
Confirmed shrink(const Job& job, const Breach& breach, std::chrono::milliseconds took,
                 std::chrono::steady_clock::time_point until);

}  // namespace hobbs::gang
