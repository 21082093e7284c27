// The conformance cases that come with hobbs: the .cases files of this folder, embedded.
#pragma once

#include <string_view>

namespace hobbs {

/// All shipped cases, one file after the other, in the case language.
std::string_view shipped_cases();

/// The table of known differences that comes with them, see differences.h.
std::string_view shipped_differences();

}  // namespace hobbs
