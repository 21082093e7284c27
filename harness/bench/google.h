// Measurements under Google Benchmark: it repeats, interleaves, filters and writes its JSON, which
// its own compare.py reads. One benchmark thread gives each repetition's time by hand, since what
// is timed happens in other processes.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/bench/measure.h"
#include "harness/bench/workload.h"

namespace hobbs::bench {

struct Plan {
  std::vector<Subject> subjects;
  std::vector<Workload> workloads;
  int repetitions = 3;
  bool latency = true;  // Also the rounds with probes.
  // In random order, so that a slow minute of the machine does not fall on one lock.
  bool interleaved = true;
  std::chrono::milliseconds budget{110'000};
  std::string directory;               // For the files of path locks.
  std::vector<std::string> arguments;  // For Google Benchmark: --benchmark_...
  std::vector<std::pair<std::string, std::string>> context;  // Facts for the JSON's context.
  std::function<void(const std::string&)> progress = [](const std::string&) {};
  // Asked before each measurement: why nothing more is to be measured; empty: go on. The time that
  // it takes is no part of the budget.
  std::function<std::string()> stop = [] { return std::string(); };
};

/// Runs the plan and returns Google Benchmark's JSON. A benchmark is named LOCK/LABEL; its real
/// time is the time per operation over all workers, its CPU time theirs together. What cannot be
/// measured has an error message that begins with "refused: ", "failed: ", "broken: " or
/// "not run: ". Call it while the process has one thread. An argument that Google Benchmark does
/// not know throws std::invalid_argument.
std::string run_plan(const Plan& plan);

}  // namespace hobbs::bench
