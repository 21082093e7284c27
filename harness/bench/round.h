// What one round says, whoever ran it: sums over its workers, and the metrics that rounds make.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "harness/bench/arena.h"
#include "harness/bench/workload.h"
#include "reports/histogram.h"

namespace hobbs::bench {

/// What one repetition measured, by name; the names are told in README.md. Times are ns.
struct Measurement {
  std::map<std::string, double> metrics;
  double ns_per_operation = 0;
  std::string error;    // Not empty: why there is no result, in one sentence.
  bool broken = false;  // The error is the lock's: it let two in at once.
};

/// All workers of one round together; see WorkerSlot. Large: keep it off stacks.
struct RoundSum {
  std::uint64_t exclusive = 0;
  std::uint64_t failures = 0;
  std::uint64_t errors = 0;
  std::uint64_t handoffs = 0;
  std::uint64_t switches = 0;
  std::uint64_t entries = 0;  // What the guarded counts came to.
  std::int64_t cpu_ns = 0;
  double elapsed_ns = 0;           // From when the first began to count until the last was done.
  std::vector<double> operations;  // By worker.
  Histogram acquire;
  Histogram response;
  Histogram handoff;
  Histogram bypass;
};

/// Runs a round with that probe; kOpen: each worker's calls are `gap_ns` apart on average. Returns
/// empty, or why there is no result, in one sentence.
using RunRound = std::function<std::string(Probe probe, double gap_ns, RoundSum& into)>;

/// One repetition: a round for throughput, then (`latency`) those with probes. The first that
/// cannot be had, or shows the lock to be broken, ends it.
Measurement measure_rounds(const Workload& workload, bool latency, const RunRound& run);

}  // namespace hobbs::bench
