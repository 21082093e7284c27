// A recorded history: each call as an interval. Pure data (HISTORIES.md: the judge's input).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs {

/// One call of one worker. Times are ns on one clock for all workers; an interval is closed.
struct Operation {
  std::uint32_t worker = 0;    // Platform id, 1..kMaxWorkers.
  Verb verb = Verb::kAcquire;  // kAcquire, kTry, kTimed, kRelease, kUpgrade..., kPost.
  Mode mode = Mode::kExclusive;
  std::uint8_t lock = 0;
  Outcome outcome = Outcome::kAcquired;  // Undefined while pending.
  bool pending = false;                  // The worker died or the run ended inside the call.
  std::int64_t invoked_ns = 0;
  std::int64_t returned_ns = INT64_MAX;
  std::int64_t deadline_ns = INT64_MAX;  // Of a timed call.
};

/// What was done to the workers while they ran.
struct Disturbance {
  enum class Kind : std::uint8_t { kKill, kStop, kContinue, kSignal, kFork, kMigrate, kFile } kind;
  std::uint32_t worker = 0;
  std::int64_t from_ns = 0;  // The window in which it struck.
  std::int64_t to_ns = 0;
};

/// Operations in any order; a worker's own do not overlap.
struct History {
  std::vector<Operation> operations;
  std::vector<Disturbance> disturbances;
  std::int64_t clock_error_ns = 0;  // Windows are already widened by this.
};

}  // namespace hobbs
