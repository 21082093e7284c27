// What an execution says of the lock: which rule it breaks, if any. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/foreign/execution.h"

namespace hobbs::foreign {

struct Breakage {
  std::string rule;
  std::string summary;
  std::vector<std::string> evidence;
};

/// `undecided` gets a sentence if nothing can be said.
std::optional<Breakage> breakage_of(const Played& played, const AgentLock& lock,
                                    std::string& undecided);

}  // namespace hobbs::foreign
