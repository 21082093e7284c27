// Runs many conformance cases at once and tells each as a Result.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/conform/world.h"
#include "reports/result.h"
#include "scenarios/cases/case.h"

namespace hobbs {

struct CaseOptions {
  std::string agent = "cpp";   // As find_agent() takes it.
  std::string cpp_agent;       // Another program for the agent cpp; empty: this one.
  std::string locks = "*";     // Globs, comma-separated, of the cases' locks ...
  std::string rules = "*";     // ... and of their names.
  std::string differences;     // Text of a table of known differences, see differences.h.
  std::string work_directory;  // For private directories; empty: /tmp.
  Patience patience;
  unsigned jobs = 0;       // Cases at a time; 0: as many as there are CPUs.
  std::uint64_t seed = 1;  // Only told in the replay.
  // How often a case that failed is run again; one that then passes each time accuses nobody.
  std::uint64_t confirmations = 4;
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
  // From any thread, one at a time.
  std::function<void(std::string_view)> progress = [](std::string_view) {};
  std::function<void(const Result&)> found = [](const Result&) {};  // Each as it is known.
};

struct CaseResults {
  std::vector<Result> results;  // In the order of the cases, whatever the order they ended in.
  std::string error;            // Not empty: nothing was run; one sentence (usage).
};

/// Runs the cases that the globs choose. A case that differs from a known difference's agent in
/// just the step named there is skipped, with the difference as the reason.
CaseResults run_cases(const std::vector<ConformanceCase>& cases, const CaseOptions& options);

}  // namespace hobbs
