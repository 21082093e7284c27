// Runs kept over time in one SQLite file: for baselines, for history, and for CI to carry along.
//
// A run is written in one transaction, so it is there as a whole or not at all, whatever kills the
// writer; several processes may write and read at once (write-ahead log, busy time-out). The
// schema's version is in PRAGMA user_version.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "reports/bench_run.h"
#include "reports/run.h"

namespace hobbs {

/// The file cannot be used: one sentence.
struct StoreError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One run as a list shows it.
struct StoredRun {
  std::int64_t id = 0;
  std::string command;
  std::string started;  // ISO 8601.
  std::string machine;  // machine_fingerprint(), or a campaign's facts.
  std::size_t cases = 0;
};

/// One point of a history.
struct StoredPoint {
  std::int64_t run = 0;
  std::string started;
  double ns = 0;  // The median over the run's repetitions.
};

/// Any process may open one file any number of times; one object belongs to one thread. All
/// functions throw StoreError.
class Store {
 public:
  /// Opens the file, or makes it. A file of a newer version is refused.
  explicit Store(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Returns the run's id. When it returns, the run survives any death of this process.
  std::int64_t save(const Run& run);
  std::int64_t save(const BenchRun& run);

  /// Gives the run a name on its machine; one that had the name there loses it.
  void name_baseline(const std::string& name, std::int64_t run);

  /// The run of that name on that machine.
  std::optional<std::int64_t> find_baseline(const std::string& name, const std::string& machine);

  /// A benchmark run as it was saved. Throws if there is none of that id.
  BenchRun load_bench(std::int64_t run);

  /// All runs, oldest first.
  std::vector<StoredRun> runs();

  /// One benchmark over the runs of one machine, oldest first.
  std::vector<StoredPoint> history(const std::string& lock, const std::string& workload,
                                   const std::string& machine);

 private:
  struct Database;
  std::unique_ptr<Database> database_;
};

}  // namespace hobbs
