// Complete stateful search of a World, shortest counterexample first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/step/world.h"

namespace hobbs::step {

struct SearchLimits {
  std::uint64_t states_max = 3'000'000;
  std::int64_t deadline_ns = INT64_MAX;  // Steady clock.
};

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
  std::uint64_t stuck_as_promised = 0;  // States that a death left stuck, by the lock's contract.
};

/// Visits all states breadth first. Then, from the graph of all of them, finds the states from
/// which the workers cannot finish any more, however they are scheduled: deadlocks, lost wakeups
/// and loops without an exit (LV-1, LV-2; after a death, CR-5).
SearchReport search(World& world, const SearchLimits& limits);

/// The same from another state than the initial one; paths start there.
SearchReport search_from(World& world, const State& start, const SearchLimits& limits);

/// The path as a trace, one line a transition.
std::vector<std::string> trace(World& world, const std::vector<Transition>& path);

}  // namespace hobbs::step
