#include "harness/bench/google.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <stdexcept>

namespace hobbs::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr nanoseconds kRoundMin = milliseconds(5);
constexpr nanoseconds kRoundMax = milliseconds(500);
constexpr nanoseconds kRoundCost = milliseconds(2);  // Barriers, and the last calls coming back.
constexpr milliseconds kGrace{1'000};
constexpr nanoseconds kDeathsCost = milliseconds(60);  // One repetition of crash recovery.

/// Google Benchmark's JSON, with the workers' CPU time in place of the benchmark thread's, which
/// only sleeps.
class WorkersJson : public benchmark::JSONReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    std::vector<Run> corrected;
    for (const Run& run : runs) {
      // Aggregates can be computed again, and a counter that is 0 throughout makes one of them
      // NaN, which is no JSON.
      if (run.run_type == Run::RT_Iteration) corrected.push_back(run);
    }
    for (Run& run : corrected) {
      const auto cpu = run.counters.find("cpu_ns_per_operation");
      if (cpu == run.counters.end()) continue;
      run.cpu_accumulated_time =
          cpu->second.value * 1e-9 * static_cast<double>(std::max<int64_t>(1, run.iterations));
    }
    benchmark::JSONReporter::ReportRuns(corrected);
  }
};

int rounds_of(const Workload& workload, bool latency) {
  if (!latency || workload.shape == Shape::kCrash) return 1;
  return workload.shape == Shape::kPingPong ? 2 : 3;
}

/// Spreads a budget over what is left to do. On a crowded machine rounds take longer than they
/// should, and later ones are shortened for it.
class Pace {
 public:
  explicit Pace(const Plan& plan) : until_(Clock::now() + plan.budget) {
    for (const Workload& workload : plan.workloads) {
      for (const Subject& subject : plan.subjects) {
        if (!subject.refusal(workload).empty()) continue;
        (workload.shape == Shape::kCrash ? deaths_left_ : rounds_left_) +=
            std::int64_t{rounds_of(workload, plan.latency)} * plan.repetitions;
      }
    }
  }

  /// That long nothing could be measured, which is no part of the budget.
  void waited(nanoseconds duration) { until_ += duration; }

  bool over() const { return Clock::now() >= until_ + kGrace; }

  /// How long each of the next rounds may be.
  nanoseconds round() const {
    const nanoseconds left = until_ - Clock::now() - deaths_left_ * kDeathsCost;
    return std::clamp(left / std::max<std::int64_t>(1, rounds_left_) - extra_, kRoundMin,
                      kRoundMax);
  }

  /// `rounds` of that length took so long.
  void done(std::int64_t rounds, nanoseconds round, nanoseconds took) {
    rounds_left_ -= rounds;
    constexpr int kMemory = 20;  // A mean that forgets, so that one hung lock is no burden for all.
    extra_ += (std::min(took / rounds - round, kRoundMax) - extra_) / kMemory;
  }
  void death_done() { --deaths_left_; }

 private:
  Clock::time_point until_;
  std::int64_t rounds_left_ = 0;
  std::int64_t deaths_left_ = 0;
  nanoseconds extra_ = kRoundCost;  // What a round takes beyond its length.
};

struct Context {
  Bench& bench;
  Pace& pace;
  const Plan& plan;
};

std::string measure_once(benchmark::State& state, const Context& context, const Subject& subject,
                         const Workload& workload) {
  const Clock::time_point asked = Clock::now();
  if (const std::string why = context.plan.stop(); !why.empty()) return "not run: " + why;
  context.pace.waited(Clock::now() - asked);
  if (context.pace.over()) return "not run: the budget was over";
  context.plan.progress(subject.name + " " + label(workload));
  const nanoseconds round = context.pace.round();
  const Clock::time_point began = Clock::now();
  const Measurement measurement =
      subject.measure(context.bench, workload, round, context.plan.latency);
  if (workload.shape == Shape::kCrash) {
    context.pace.death_done();
  } else {
    context.pace.done(rounds_of(workload, context.plan.latency), round, Clock::now() - began);
  }
  if (!measurement.error.empty()) {
    return (measurement.broken ? "broken: " : "failed: ") + measurement.error;
  }
  for (auto _ : state) state.SetIterationTime(measurement.ns_per_operation * 1e-9);
  for (const auto& [name, value] : measurement.metrics) state.counters[name] = value;
  return "";
}

/// What went wrong with a benchmark so far: a second try would only cost time.
struct Trouble {
  std::string words;
  bool after_a_success = false;
  bool succeeded = false;
};

/// Google Benchmark 1.7.1 aborts if some repetitions of a benchmark have errors and others not: so
/// trouble after a success is a repetition that took no time, with the trouble as its label.
void tell(benchmark::State& state, const Trouble& trouble) {
  if (!trouble.after_a_success) {
    state.SkipWithError(trouble.words.c_str());
    return;
  }
  for (auto _ : state) state.SetIterationTime(0);
  state.SetLabel(trouble.words);
}

void register_one(const Context& context, const Subject& subject, const Workload& workload) {
  const std::string name = subject.name + "/" + label(workload);
  const std::string why = subject.refusal(workload);
  const auto trouble = std::make_shared<Trouble>();
  if (!why.empty()) trouble->words = "refused: " + why;
  const auto body = [trouble, &context, &subject, &workload](benchmark::State& state) {
    if (trouble->words.empty()) {
      trouble->words = measure_once(state, context, subject, workload);
      trouble->after_a_success = trouble->succeeded;
      trouble->succeeded = true;
    }
    if (!trouble->words.empty()) tell(state, *trouble);
  };
  benchmark::RegisterBenchmark(name.c_str(), body)
      ->UseManualTime()
      ->Iterations(1)
      ->Repetitions(why.empty() ? context.plan.repetitions : 1)
      ->ReportAggregatesOnly(false)
      ->Unit(benchmark::kNanosecond);
}

void initialize(const std::vector<std::string>& arguments, bool interleaved) {
  std::vector<std::string> words;
  if (interleaved) words.push_back("--benchmark_enable_random_interleaving=true");
  words.insert(words.end(), arguments.begin(), arguments.end());
  static char program[] = "hobbs";  // The library keeps the pointer.
  std::vector<char*> pointers{program};
  for (std::string& word : words) pointers.push_back(word.data());
  int count = static_cast<int>(pointers.size());
  pointers.push_back(nullptr);
  benchmark::Initialize(&count, pointers.data());
  if (count > 1) {
    throw std::invalid_argument(fmt::format("Google Benchmark does not know '{}'", pointers[1]));
  }
}

void add_context(const Plan& plan, const Overhead& overhead, nanoseconds round) {
  for (const auto& [name, value] : plan.context) benchmark::AddCustomContext(name, value);
  benchmark::AddCustomContext("round_ms",
                              fmt::format("{:g}", static_cast<double>(round.count()) / 1e6));
  if (!plan.latency) return;
  const auto add_ns = [](const char* name, double ns) {
    benchmark::AddCustomContext(name, fmt::format("{:.2f}", ns));
  };
  add_ns("overhead_bare_loop_ns", overhead.bare_ns);
  add_ns("overhead_loop_ns", overhead.loop_ns);
  add_ns("overhead_probed_loop_ns", overhead.probes_ns);
}

}  // namespace

std::string run_plan(const Plan& plan) {
  initialize(plan.arguments, plan.interleaved);
  std::vector<Workload> all = plan.workloads;
  all.push_back(overhead_workload());
  Bench bench(all, plan.directory);
  const Overhead overhead = plan.latency ? measure_overhead(bench) : Overhead{};
  Pace pace(plan);
  const Context context{bench, pace, plan};
  add_context(plan, overhead, pace.round());
  for (const Workload& workload : plan.workloads) {
    for (const Subject& subject : plan.subjects) register_one(context, subject, workload);
  }
  std::ostringstream out;
  WorkersJson reporter;
  reporter.SetOutputStream(&out);
  reporter.SetErrorStream(&out);
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::ClearRegisteredBenchmarks();
  return out.str();
}

}  // namespace hobbs::bench
