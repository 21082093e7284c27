// A benchmark run as text for a terminal.
#pragma once

#include <string>

#include "reports/bench_run.h"

namespace hobbs {

struct BenchTableOptions {
  std::string baseline;  // The lock that ratios are against; empty: see baseline_case().
  bool verbose = false;  // The details of each workload even if there are many locks.
};

/// Locks × workloads as time per operation and its ratio to the baseline; then, for a few locks or
/// when verbose, each workload with percentiles, fairness and costs; then what was not measured
/// and why; then what the harness itself costs.
std::string render_bench_table(const BenchRun& run, const BenchTableOptions& options);

/// "14.4 ns", "1.23 us", "45 ms": three digits. "-" for NaN.
std::string duration_of_ns(double ns);

}  // namespace hobbs
