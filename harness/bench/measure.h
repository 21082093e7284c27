// Measures locks of this program: their rounds are run by gangs of its own processes.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/bench/arena.h"
#include "harness/bench/gang.h"
#include "harness/bench/round.h"
#include "harness/bench/tsc.h"
#include "harness/bench/workload.h"
#include "locks/lock.h"

namespace hobbs::bench {

/// The processes and the memory of all measurements of one call.
class Bench {
 public:
  /// Forks gangs that are large enough for all these workloads. Call it while the process has one
  /// thread. Files of path locks go below `directory`.
  Bench(const std::vector<Workload>& workloads, std::string directory);

  /// One repetition: a throughput round, then (`latency`) rounds with probes, each that long.
  Measurement measure(const LockSpec& lock, const Workload& workload,
                      std::chrono::nanoseconds round, bool latency);

  const Tsc& tsc() const { return tsc_; }

 private:
  Measurement measure_crash(const LockSpec& lock);
  Gang& gang_for(const Workload& workload);
  std::string next_path();
  std::string run(const Orders& orders, const Workload& workload, std::chrono::nanoseconds round,
                  RoundSum& into);

  Tsc tsc_;
  SharedMemory<Arena> arena_;
  std::string directory_;
  std::uint64_t paths_ = 0;
  std::map<std::string, std::unique_ptr<Gang>> gangs_;
};

/// What stands in one row of the table: a lock of ours, or another program's.
struct Subject {
  std::string name;
  std::function<std::string(const Workload&)> refusal;  // Empty: it can be measured.
  std::function<Measurement(Bench&, const Workload&, std::chrono::nanoseconds round, bool latency)>
      measure;
};
Subject subject_of(const LockSpec& lock);

/// What the harness itself costs: the loop around a lock that does nothing, ns an operation.
struct Overhead {
  double bare_ns = 0;    // A loop that only counts: no calls, no shared memory.
  double loop_ns = 0;    // The throughput loop.
  double probes_ns = 0;  // The loop with both clock reads and all recording.
};
Overhead measure_overhead(Bench& bench);

/// The two workloads that measure_overhead() needs gangs for.
Workload overhead_workload();

}  // namespace hobbs::bench
