// Has the history of a run judged: what the witness, which looks only at doors, cannot see.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "harness/free/arena.h"
#include "harness/free/gang.h"
#include "scenarios/history.h"

namespace hobbs::gang {

/// What the judge must know beside the records.
struct Circumstances {
  std::uint64_t end = 0;                  // Stamp: what came later is not judged.
  std::vector<std::uint32_t> process_of;  // Of each platform id.
  std::vector<Disturbance> deaths;        // Windows in CLOCK_MONOTONIC ns.
  bool signals = false;                   // Waits may have been interrupted.
  bool scarce = false;                    // Calls may have failed for want of resources.
};

struct Ruling {
  std::optional<Breach> breach;  // The earliest, with a certificate that stands.
  std::uint64_t judged = 0;      // Calls.
  std::string undecided;         // Why the history as a whole could not be judged; or empty.
};

/// Call it when no worker writes any more. A breach is not proven: it must recur.
Ruling judge_recorded(const Arena& arena, const LockSpec& lock, const Circumstances& known);

}  // namespace hobbs::gang
