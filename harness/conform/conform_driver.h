// Random sequences of calls as a driver: the locks of a catalogue, served by an agent of this
// program, or the locks that another agent serves, by their names.
#pragma once

#include <memory>
#include <string>

#include "harness/driver.h"
#include "scenarios/calls/agent_lock.h"

namespace hobbs {

struct ConformOptions {
  std::string agent = "cpp";  // As find_agent() takes it.
  std::string cpp_agent;      // Another program for the agent cpp; empty: this one.
};

/// Its scenario is "calls": every topology that fits the lock, see hunt_calls.h. For an agent other
/// than cpp, and for locks that carry a seed's name without being callable here, the lock is the
/// agent's of that name.
std::unique_ptr<Driver> conform_driver(ConformOptions options = {});

/// The locks of the seeds as an agent serves them, for conform_driver(): plain names and claims.
Catalog agent_catalog();

}  // namespace hobbs
