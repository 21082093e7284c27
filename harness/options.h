// The command line as a value (fixed contract, DESIGN 4.3). Parsing has no effects.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hobbs {

struct Options {
  std::string command;
  // Common.
  std::string locks = "*";
  bool locks_named = false;  // --locks was given: other libraries' locks count too.
  std::string scenarios = "*";
  std::string rules = "*";
  std::string drivers = "*";
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;  // How many, from `seed` on.
  std::optional<std::chrono::milliseconds> budget;
  std::string format = "text";
  std::string output;     // Empty: standard output.
  std::string artifacts;  // Where replay files go; empty: see artifacts_directory().
  unsigned jobs = 0;      // 0: as many as there are cores.
  bool list = false;
  bool list_rules = false;  // `hobbs list --rules`.
  bool verbose = false;
  bool keep_going = false;  // Go on with a lock that has a finding.
  std::string colour = "auto";
  // A named search.
  std::uint32_t workers = 0;
  std::uint32_t acquisitions = 0;
  std::uint32_t kills = 0;
  std::int32_t preemptions = -1;
  std::int32_t delays = -1;
  std::string memory;
  std::string strategy;
  // conform and agent.
  std::string cases;
  bool random = false;
  std::string agent = "cpp";
  bool agent_named = false;  // --agent was given.
  std::string lock;          // verify: exec:COMMAND, an agent whose locks need no registration.
  std::vector<std::string> arguments;  // The rest: an agent's socket, what bench gets.
  // bench and compare.
  bool full = false;              // The whole sweep instead of the default tour.
  std::uint32_t repetitions = 0;  // 0: the command's default.
  bool throughput_only = false;   // No rounds with latency probes.
  bool take_turns = false;        // Measure when whoever started us says so, on standard input.
  std::string baseline;           // The lock that ratios are against.
  std::uint64_t fast_path = 0;    // Only that many uncontended operations, for valgrind.
  std::string store;              // The SQLite file in which runs are kept.
  std::string save_baseline;      // The name that the run gets in the store.
  std::string against;            // The baseline in the store to compare with.
  double threshold_percent = 5;   // The smallest change that matters.
  bool instructions = false;      // Compare instruction counts too.
  // replay and report.
  std::string file;
};

struct ParsedOptions {
  Options options;
  std::optional<int> exit_code;  // Set: stop here (help, version or a usage error) ...
  std::string message;           // ... after printing this.
};

ParsedOptions parse_options(int argc, const char* const* argv);

/// "300ms", "30s", "2m", "1h", "1.5s"; nothing if it is not a duration of at least 1 ms and at
/// most 1000 h.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace hobbs
