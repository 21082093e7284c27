// One benchmark run as a value: what Google Benchmark's JSON says, by lock and workload. The file
// that it wrote is the form in which runs are kept, stored and compared.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hobbs {

/// One repetition.
struct BenchSample {
  double ns = 0;                          // Per operation, over all workers.
  double cpu_ns = 0;                      // Per operation, of all workers together.
  std::map<std::string, double> metrics;  // The counters: "acquire_p99", "jain", ...

  bool operator==(const BenchSample&) const = default;
};

enum class BenchState : std::uint8_t {
  kMeasured,
  kRefused,  // The lock's claims rule the workload out.
  kNotRun,   // The budget was over.
  kFailed,   // No result: a worker hung or died.
  kBroken,   // The lock let two in at once.
};

struct BenchCase {
  std::string lock;
  std::string workload;  // "contended/processes:2/threads:1/hold:0ns/think:0ns/pinned"
  BenchState state = BenchState::kMeasured;
  std::string reason;  // Why not measured.
  std::vector<BenchSample> samples;

  bool operator==(const BenchCase&) const = default;
};

struct BenchRun {
  std::string date;                                          // ISO 8601.
  std::vector<std::pair<std::string, std::string>> context;  // Scalars, in the file's order.
  std::vector<BenchCase> cases;                              // In the order of the file.
};

struct BenchParse {
  BenchRun run;
  std::string error;  // Empty, or one sentence.
};
/// Reads Google Benchmark's JSON. A benchmark named LOCK/WORKLOAD has a lock; another one is its
/// own workload of the lock "". Aggregates are left out: they can be computed again.
BenchParse parse_bench(std::string_view json);

/// Whether the text looks like Google Benchmark's JSON rather than a campaign's result.
bool is_bench_json(std::string_view json);

/// The median over the repetitions; NaN if no repetition has the metric. "ns" and "cpu_ns" too.
double typical(const BenchCase& bench_case, const std::string& metric);

/// The workloads of a run, in order of first appearance.
std::vector<std::string> workloads_of(const BenchRun& run);

/// The case of that lock and workload, or null.
const BenchCase* find_case(const BenchRun& run, std::string_view lock, std::string_view workload);

/// What the others of this workload are set against: `wanted` if it was measured there, else
/// glibc's lock for such a workload, else the first that was measured; null if none was.
const BenchCase* baseline_case(const BenchRun& run, std::string_view workload,
                               std::string_view wanted);

/// What says that two runs come from machines that may be compared: processor, cores and kernel.
std::string machine_fingerprint(const BenchRun& run);

}  // namespace hobbs
