// The programs that a controlled driver runs on a lock: chosen by its claims and its calls alone.
//
// The catalogue of programs finds more than the scheduler does (LESSONS): a bug needs a program in
// which it can show. Pure data; smallest first within a family.
#pragma once

#include <string>
#include <vector>

#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs {

struct ControlledProgram {
  std::string family;  // "exclusion", "try", "timed", "nested", "readers", "permits", ...
  std::string rules;   // What it can break, comma-separated.
  Program program;
  Topology topology = Topology::kFork;
  bool relocks = false;  // The first worker asks again for what it holds, which is in the contract
                         // only of a lock for which it then waits, if nothing wakes it.
  bool kills = false;  // Each worker that `program.faults` names is killed at every point in turn.
};

/// Where the lock's workers live unless a program says otherwise: in processes, if it is for these.
inline Topology usual_topology(const LockSpec& lock) {
  return lock.claims.process_shared ? Topology::kFork : Topology::kThreads;
}

/// All programs that fit what the lock claims and offers.
std::vector<ControlledProgram> controlled_programs(const LockSpec& lock);

/// The one program of `workers` × `acquisitions` plain sections that a named search asks for.
Program plain_program(std::uint32_t workers, std::uint32_t acquisitions);

}  // namespace hobbs
