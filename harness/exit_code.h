// The exit codes of hobbs (fixed contract, DESIGN 4.3). Never 2: make turns any failure into 2.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "reports/result.h"

namespace hobbs {

enum ExitCode : int {
  kExitPass = 0,          // All pass, or skipped with a reason beside something that passed.
  kExitFinding = 1,       // A broken rule, or a regression.
  kExitInconclusive = 3,  // A limit was hit (or the run was interrupted), and no finding.
  kExitNothingRan = 4,    // No lock or scenario was left to run, or all were skipped.
  kExitUsage = 64,        // A bad flag, glob syntax, case file or replay file.
  kExitInternal = 70,     // hobbs itself failed, or a report could not be written.
};

/// The caller asked for something that cannot be done: exit 64 with this one sentence.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What was asked for selects nothing: exit 4 with this one sentence.
struct NothingToRun : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A signal ended it before there was anything to tell: exit 3 with this one sentence.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The exit code that these results earn.
inline int exit_code_of(const std::vector<Result>& results) {
  switch (overall(results)) {
    case Verdict::kPass: return kExitPass;
    case Verdict::kFail: return kExitFinding;
    case Verdict::kInconclusive: return kExitInconclusive;
    case Verdict::kSkipped: return kExitNothingRan;
  }
  return kExitInternal;
}

}  // namespace hobbs
