// Name patterns as the command line takes them: shell globs, several separated by commas.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hobbs {

/// Whether `text` matches one of the comma-separated shell patterns. An empty list matches nothing.
bool glob_match(std::string_view patterns, std::string_view text);

/// Whether any part of a comma-separated list ("ME-1,ME-2") matches one of the patterns.
bool glob_match_any(std::string_view patterns, std::string_view comma_list);

/// The comma-separated parts without surrounding blanks; empty parts are left out.
std::vector<std::string> split_commas(std::string_view list);

/// The names most like `wanted`, best first, at most three: for "did you mean".
std::vector<std::string> near_matches(std::string_view wanted,
                                      const std::vector<std::string>& names);

}  // namespace hobbs
