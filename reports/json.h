// Results as JSON (fixed contract, DESIGN 4.3): one object a run, schema 1, and back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reports/run.h"

namespace hobbs {

inline constexpr int kSchema = 1;

/// The run as one JSON object, indented. Bytes that are not UTF-8 are replaced.
std::string to_json(const Run& run);

struct RunParse {
  Run run;
  std::string error;  // Empty, or one sentence.
};
/// Reads what to_json(Run) wrote. Keys it does not know are ignored (a newer version may add
/// some); another schema is an error.
RunParse parse_run(std::string_view json);

/// The results alone, for the pipe between a slice and its campaign.
std::string to_json(const std::vector<Result>& results);

struct ResultsParse {
  std::vector<Result> results;
  std::string error;  // Empty, or one sentence.
};
ResultsParse parse_results(std::string_view json);

}  // namespace hobbs
