// Complete stateful search of a World, shortest counterexample first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/step/crash_points.h"
#include "harness/step/graph.h"
#include "harness/step/world.h"

namespace hobbs::step {

struct SearchReport {
  enum class End : std::uint8_t {
    kComplete,   // Every reachable state was visited, and all was well.
    kViolation,  // `rule`, `summary` and `path` tell.
    kUnknown,    // The subject did what is not modelled: `summary`.
    kLimit,      // States or time ran out: `summary`.
  } end = End::kComplete;
  std::string rule;
  std::string summary;
  std::vector<Transition> path;  // From the initial state; the last one breaks the rule.
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  std::uint64_t moves = 0;  // Made by the modelled processor; all others were remembered.
  std::uint64_t stuck_as_promised = 0;   // States that a death left stuck, by the lock's contract.
  std::vector<CrashPoint> crash_points;  // Of a world in which workers die.
};

/// Visits all states breadth first. Then, from the graph of all of them, finds the states from
/// which the workers cannot finish any more, however they are scheduled: deadlocks, lost wakeups
/// and loops without an exit (LV-1, LV-2; after a death, CR-5).
SearchReport search(World& world, const SearchLimits& limits);

/// The same from another state than the initial one; paths start there.
SearchReport search_from(World& world, const State& start, const SearchLimits& limits);

}  // namespace hobbs::step
