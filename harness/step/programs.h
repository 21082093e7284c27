// The small programs that step searches completely, from a lock's claims and calls.
#pragma once

#include <string>
#include <vector>

#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs::step {

struct NamedProgram {
  std::string name;  // "2x1", "3x1", "writer-reader", ...: no commas, since scenario lists use them
  Program program;
  unsigned kills = 0;
  unsigned signals = 0;  // Signals and spurious wakes.
  bool on_demand = false;  // Too large for many locks: run where --scenarios asks for it.
};

/// In the order of growing size, so that the first finding is the smallest. `workers` and
/// `acquisitions`, if not 0, ask for that one program instead; `kills` for that many deaths.
std::vector<NamedProgram> step_programs(const LockSpec& lock, unsigned workers,
                                        unsigned acquisitions, unsigned kills);

}  // namespace hobbs::step
