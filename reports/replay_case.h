// A replay file (fixed contract, DESIGN 4.4): exactly what to run again, as JSON that a person can
// read and edit.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "scenarios/program.h"

namespace hobbs {

inline constexpr std::string_view kVersion = "0.1.0";

struct ReplayCase {
  std::string lock;
  Claims claims;
  std::string driver;
  std::string scenario;
  std::string rule;
  Program program;       // Faults included; written as text.
  std::string topology;
  std::string schedule;  // Readable text; may be empty.
  std::uint64_t seed = 1;
  std::string version{kVersion};
  std::map<std::string, std::string> options;  // The driver's own: memory=tso, nemesis=churn, ...
};

std::string to_json(const ReplayCase& replay);

struct ReplayParse {
  ReplayCase replay;
  std::string error;  // Empty, or one sentence.
};
/// Reads a replay file. Unknown keys and missing mandatory ones (lock, driver, program) are errors
/// that name the key.
ReplayParse parse_replay(std::string_view json);

}  // namespace hobbs
