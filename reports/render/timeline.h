// A history with times as an SVG drawing: one lane a worker, time from left to right.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reports/result.h"

namespace hobbs {

/// The drawing, or empty where the history has no times. It scales to the width of the page.
std::string draw_timeline(const std::vector<Moment>& history);

/// Text as HTML shows it literally; control characters are shown as '?'.
std::string html_escaped(std::string_view text);

}  // namespace hobbs
