// The programs that the free driver runs on a lock: chosen by its claims and its calls alone.
#pragma once

#include <string>
#include <vector>

#include "harness/free/gang.h"
#include "harness/free/nemesis.h"
#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs::gang {

/// A scenario: programs that look for the same kind of fault.
struct Family {
  std::string name;   // "burst/exclusion"
  std::string rules;  // What it can break, comma-separated.
  std::string about;
  std::vector<Program> programs;
  std::vector<Topology> topologies;
  std::vector<Nemesis> nemeses;
  bool must_contend = true;  // A pass without contention would be vacuous.
  bool must_strike = false;  // A pass without a strike of its nemesis would be vacuous.
  std::string unstruck;      // Why that may be, by no fault of anybody: then it is skipped.
  int weight = 1;            // Slices of time at a turn: more where a run has long phases.
  bool kills = false;        // The program's faults strike at point 1, 2, ... until all survive.
  Meanings means;            // Under which rule of its own a breach of a plainer one is told.
};

std::vector<Family> families_of(const LockSpec& lock);

/// Whether the lock offers and allows every step; a program made smaller may ask for meetings that
/// nobody comes to.
bool fits(const LockSpec& lock, const Program& program);

/// Where the lock's claims let its workers be.
std::vector<Topology> topologies_of(const LockSpec& lock);

}  // namespace hobbs::gang
