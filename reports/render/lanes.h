// A history as plain text: one column a worker, time downwards, evidence marked with '!'.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "reports/result.h"

namespace hobbs {

/// The lines of the drawing, without line ends, each at most `width` columns wide (unless there
/// are so many workers that this leaves no room). Line 0 names the lanes.
std::vector<std::string> draw_lanes(const std::vector<Moment>& history, std::size_t width);

}  // namespace hobbs
