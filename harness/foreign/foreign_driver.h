// The step driver for locks of another program: its processes, traced, on this kernel.
#pragma once

#include <memory>
#include <string>

#include "harness/driver.h"

namespace hobbs {

/// Explores interleavings of small programs on the locks that the agent `command` serves
/// (exec:COMMAND, as find_agent() takes it), each worker a process of the agent's. The locks are
/// those of agent_catalog(), and those of a program's own that agents serve by name. A replay
/// brings its own agent.
std::unique_ptr<Driver> foreign_driver(std::string command);

/// Empty, or why this process may trace nobody, and how that is mended: one sentence.
std::string why_not_traceable();

}  // namespace hobbs
