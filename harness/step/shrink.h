// Making a drawn finding small: the smallest program that breaks the same rule, with the fewest
// preemptions, so that the story is one that a person can follow.
#pragma once

#include <chrono>

#include "harness/step/search.h"
#include "harness/step/step_case.h"

namespace hobbs::step {

/// A case and how it breaks.
struct Small {
  Program program;
  SearchReport report;  // Of kViolation; `path` belongs to `program`.
  bool finished =
      false;  // Else the time ended first, or something smaller was too large to search.
};

/// Searches the programs below `found`'s, the smallest first, completely or where that is too much
/// with few preemptions, until one breaks the same rule. `found` itself is what is told if there
/// is none. Whatever is told was found by a search of that program: it is no guess.
Small shrink(const StepCase& found, const SearchReport& report,
             std::chrono::steady_clock::time_point until);

/// How often a worker that could go on was stopped for another.
int preemptions_of(World& world, const std::vector<Transition>& path);

}  // namespace hobbs::step
