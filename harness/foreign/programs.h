// The programs that are run on an agent's lock, by what it offers and claims. Pure data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/calls/agent_lock.h"
#include "scenarios/program.h"

namespace hobbs::foreign {

inline constexpr std::uint32_t kWorkersMax = 8;

struct NamedProgram {
  std::string name;   // "2x1", "try", "2x1-death": the scenario is "traced/" and this.
  std::string rules;  // What it can break.
  Program program;
  bool death = false;  // The first worker dies at each of its steps in turn.
};

/// Smallest first; empty if the lock offers nothing that several processes could do. `workers` and
/// `acquisitions`, unless 0, ask for one program of that size; `kills`, unless 0, for the programs
/// with deaths only.
std::vector<NamedProgram> programs_for(const AgentLock& lock, std::uint32_t workers,
                                       std::uint32_t acquisitions, std::uint32_t kills);

/// Empty, or why nothing can be said of the lock's processes: it is for threads only, say.
std::string unfit_for_processes(const AgentLock& lock);

}  // namespace hobbs::foreign
