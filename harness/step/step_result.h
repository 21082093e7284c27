// A case, searched, as a result: verdict, counts, and the finding with its story.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/driver.h"
#include "harness/step/step_case.h"
#include "reports/result.h"

namespace hobbs::step {

/// A result of this case that says nothing yet.
Result base_result(const StepCase& one);

/// A schedule as it is told, move by move.
std::vector<Moment> moments(World& world, const std::vector<Transition>& path);

/// Searches as `request` names it. A world that cannot be had here is inconclusive.
Result result_of(const StepCase& one, const Request& request);

}  // namespace hobbs::step
