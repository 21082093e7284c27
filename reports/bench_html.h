// A benchmark run as one HTML file: offline, light and dark, readable without scripts.
#pragma once

#include <string>

#include "reports/bench_run.h"

namespace hobbs {

/// A section a workload: a table with ratios to the baseline, fairness bars and, with scripts, the
/// percentile curves; then throughput over workers where the run has several numbers of them. The
/// baseline is chosen as baseline_case() does.
std::string render_bench_html(const BenchRun& run, const std::string& baseline);

}  // namespace hobbs
