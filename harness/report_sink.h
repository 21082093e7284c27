// Where the report of a call goes, checked before the call spends its time.
#pragma once

#include <string>

#include "harness/options.h"
#include "reports/render/reporter.h"
#include "reports/run.h"

namespace hobbs {

class ReportSink {
 public:
  /// Throws UsageError at once if --output could not be written.
  explicit ReportSink(const Options& options);

  /// Writes the report, and the JUnit file that Bazel asks for. Returns `exit_code`, or
  /// kExitInternal if something could not be written; then the report goes to standard output
  /// instead, so that it is not lost, and one sentence to standard error.
  int write(const Run& run, int exit_code) const;

 private:
  const Reporter* reporter_;
  std::string output_;
  RenderOptions render_;
};

}  // namespace hobbs
