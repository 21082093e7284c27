// Programs that a finding may be shrunk to.
#pragma once

#include <vector>

#include "scenarios/program.h"

namespace hobbs {

/// Everything one size smaller: without a worker, a section or an option. Pure.
std::vector<Program> smaller_programs(const Program& program);

}  // namespace hobbs
