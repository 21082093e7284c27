// Runs one conformance case against an agent and judges each of its steps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/conform/world.h"
#include "reports/result.h"
#include "scenarios/cases/case.h"

namespace hobbs {

/// How a case ended, at its first step that did not go as expected.
struct CaseOutcome {
  Verdict verdict = Verdict::kPass;
  std::string reason;  // One sentence; empty for a pass.
  std::string step;    // The step, as written; empty for a pass.
  int line = 0;
  std::optional<CallAnswer> answer;  // A fail: what was given, properly, instead of what was due.
  std::vector<Moment> moments;       // All steps up to there.
  std::vector<std::string> evidence;
  std::int64_t duration_ms = 0;
};

struct CaseSetting {
  std::vector<std::string> command;  // Starts an agent; the path of a socket is appended.
  std::string parent_directory;      // For private directories; empty: /tmp.
  const Canary* canary = nullptr;
  Patience patience;
};

/// Never throws for what an agent or the system does: that becomes the outcome. Thread-safe.
CaseOutcome run_case(const ConformanceCase& conformance_case, const CaseSetting& setting);

}  // namespace hobbs
