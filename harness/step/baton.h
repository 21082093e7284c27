// Every schedule of a small program by real processes: native code at nearly native speed.
//
// The workers are forked processes on one core. In each, a breakpoint stands at the instructions at
// which the model stops: shared accesses and system calls. The worker that hits one decides, from a
// depth-first search in memory that all share, who goes on, and hands over. No tracer, and mostly
// no signal: a stop takes a fraction of a microsecond, and one more to hand over. For locks that
// sleep; a spin without end is cut off and refused.
#pragma once

#include <cstdint>
#include <string>

#include "harness/step/breakpoints.h"
#include "harness/step/world.h"

namespace hobbs::step {

struct BatonReport {
  std::uint64_t schedules = 0;
  std::uint64_t stops = 0;           // Decisions taken, over all schedules.
  std::uint64_t divergences = 0;     // Schedules that the kernel did not let us repeat exactly.
  std::size_t sites = 0, traps = 0;  // Breakpoints, and those that cost a signal.
  std::uint64_t fingerprint = 0;     // Of all stops in their order, and of what system calls gave.
  bool complete = false;             // All schedules within the bound were run.
  std::string finding;               // Exclusion broken, or all asleep: the search ended there.
  std::string refusal;               // It could not be tried.
};

/// Only exclusive acquires and releases: what run_all_schedules() runs.
bool is_plain(const Program& program);

/// Runs all schedules of the world's program (plain locks and unlocks), or those with at most so
/// many preemptions (-1: any number). Leaves no process. For locks in memory.
BatonReport run_all_schedules(World& world, int preemptions, std::int64_t deadline_ns,
                              Breakpoints::Kind kind = Breakpoints::Kind::kJumps);

}  // namespace hobbs::step
