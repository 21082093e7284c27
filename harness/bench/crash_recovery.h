// How long a dead holder's lock stays unusable: from SIGKILL until a process that was already
// waiting has it.
#pragma once

#include <cstdint>
#include <string>

#include "harness/bench/tsc.h"
#include "locks/lock.h"
#include "reports/histogram.h"

namespace hobbs::bench {

struct Recovery {
  Histogram recovery_ns;  // One value a death.
  std::string error;      // Not empty: why there is no result, in one sentence.
};

/// Kills `deaths` holders, each in a pair of processes of its own; a path lock's file is `path`
/// with a number. Call it while the process has one thread. A lock that a waiter does not get
/// within 5 s is an error.
Recovery measure_recovery(const LockSpec& lock, const Tsc& tsc, const std::string& path,
                          std::uint32_t deaths);

}  // namespace hobbs::bench
