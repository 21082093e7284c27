// One call of hobbs as a value: what ran where, and every result. All reporters start from this.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reports/replay_case.h"
#include "reports/result.h"

namespace hobbs {

struct Run {
  std::string tool = "hobbs";
  std::string version{kVersion};
  std::string command;                                       // The subcommand: verify, stress, ...
  std::string started;                                       // UTC, ISO 8601; empty if not known.
  std::vector<std::pair<std::string, std::string>> machine;  // Facts in a fixed order.
  std::uint64_t seed = 1;
  std::int64_t duration_ms = 0;
  std::vector<Result> results;
  std::string note;  // One sentence about the whole run (interrupted, ...); may be empty.
};

/// How many results have each verdict.
struct Tally {
  std::size_t pass = 0;
  std::size_t fail = 0;
  std::size_t inconclusive = 0;
  std::size_t skipped = 0;
};
Tally tally(const std::vector<Result>& results);

}  // namespace hobbs
