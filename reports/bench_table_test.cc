#include "reports/bench_table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace hobbs {
namespace {

constexpr std::string_view kJson = R"({
  "context": {"date": "2026-01-31T12:00:00+00:00", "num_cpus": 2, "caches": [], "cpu": "Z80",
    "cores": "2", "kernel": "Linux 6", "round_ms": "20", "overhead_loop_ns": "2.00",
    "overhead_bare_loop_ns": "0.30", "overhead_probed_loop_ns": "40.00",
    "agent": "python", "agent_overhead_loop_ns": "150.0", "agent_overhead_probed_loop_ns": "900.0"},
  "benchmarks": [
    {"name": "a/contended/processes:2/iterations:1/repeats:2/manual_time", "run_type": "iteration",
     "repetitions": 2, "threads": 1, "iterations": 1, "real_time": 10.0, "cpu_time": 20.0,
     "time_unit": "ns", "acquire_p99": 100.0, "jain": 1.0},
    {"name": "a/contended/processes:2/iterations:1/repeats:2/manual_time", "run_type": "iteration",
     "repetitions": 2, "threads": 1, "iterations": 1, "real_time": 30.0, "cpu_time": 20.0,
     "time_unit": "ns", "acquire_p99": 300.0, "jain": 1.0},
    {"name": "a/contended/processes:2/iterations:1_mean", "run_type": "aggregate",
     "aggregate_name": "mean", "real_time": 20.0, "cpu_time": 20.0, "time_unit": "ns"},
    {"name": "pthread.mutex/contended/processes:2/iterations:1/repeats:2/manual_time",
     "run_type": "iteration", "iterations": 1, "real_time": 0.04, "cpu_time": 1.0,
     "time_unit": "us"},
    {"name": "b/contended/processes:2/iterations:1", "run_type": "iteration",
     "error_occurred": true, "error_message": "refused: it is for threads of one process only"},
    {"name": "d/contended/processes:2/iterations:1", "run_type": "iteration", "iterations": 1,
     "real_time": 7.0, "cpu_time": 7.0, "time_unit": "ns"},
    {"name": "d/contended/processes:2/iterations:1", "run_type": "iteration", "iterations": 1,
     "real_time": 0.0, "cpu_time": 0.0, "time_unit": "ns", "label": "not run: the budget was over"},
    {"name": "c/contended/processes:2/iterations:1", "run_type": "iteration",
     "error_occurred": true, "error_message": "broken: it does not exclude"}]})";

TEST(BenchRun, ReadsGoogleBenchmarksJson) {
  const BenchParse parsed = parse_bench(kJson);
  ASSERT_EQ(parsed.error, "");
  const BenchRun& run = parsed.run;
  EXPECT_EQ(run.date, "2026-01-31T12:00:00+00:00");
  EXPECT_EQ(machine_fingerprint(run), "cpu Z80; cores 2; kernel Linux 6");
  ASSERT_EQ(run.cases.size(), 5u);
  const BenchCase& a = run.cases[0];
  EXPECT_EQ(a.lock, "a");
  EXPECT_EQ(a.workload, "contended/processes:2");
  ASSERT_EQ(a.samples.size(), 2u);
  EXPECT_EQ(a.samples[1].ns, 30);
  EXPECT_EQ(a.samples[0].metrics.size(), 2u);
  EXPECT_EQ(typical(a, "ns"), 20);
  EXPECT_EQ(typical(a, "acquire_p99"), 200);
  EXPECT_TRUE(std::isnan(typical(a, "nothing")));
  EXPECT_EQ(run.cases[1].samples[0].ns, 40) << "of 0.04 us";
  EXPECT_EQ(run.cases[2].state, BenchState::kRefused);
  EXPECT_EQ(run.cases[2].reason, "it is for threads of one process only");
  EXPECT_EQ(run.cases[3].state, BenchState::kMeasured) << "one repetition of two is a result";
  EXPECT_EQ(run.cases[3].samples.size(), 1u);
  EXPECT_EQ(run.cases[4].state, BenchState::kBroken);
}

TEST(BenchRun, BaselineIsTheWantedLockElseGlibcs) {
  const BenchRun run = parse_bench(kJson).run;
  EXPECT_EQ(baseline_case(run, "contended/processes:2", "")->lock, "pthread.mutex");
  EXPECT_EQ(baseline_case(run, "contended/processes:2", "a")->lock, "a");
  EXPECT_EQ(baseline_case(run, "contended/processes:2", "b")->lock, "pthread.mutex");
  EXPECT_EQ(baseline_case(run, "other", "a"), nullptr);
}

TEST(BenchRun, OtherTextIsAnErrorInWords) {
  EXPECT_NE(parse_bench("{").error, "");
  EXPECT_NE(parse_bench("{}").error, "");
  EXPECT_FALSE(is_bench_json("nonsense"));
  EXPECT_FALSE(is_bench_json(R"({"schema": 1})"));
  EXPECT_TRUE(is_bench_json(kJson));
}

TEST(BenchTable, ShowsTimesRatiosAndReasons) {
  const std::string text = render_bench_table(parse_bench(kJson).run, {});
  EXPECT_NE(text.find("20 ns (0.50x)"), std::string::npos) << text;
  EXPECT_NE(text.find("40 ns (1.00x)"), std::string::npos) << text;
  EXPECT_NE(text.find("100%"), std::string::npos) << "the spread: " << text;
  EXPECT_NE(text.find("refused: it is for threads of one process only: b"), std::string::npos);
  EXPECT_NE(text.find("BROKEN"), std::string::npos);
  EXPECT_NE(text.find("harness: 2.00 ns"), std::string::npos) << text;
  EXPECT_NE(text.find("python: 150.0 ns"), std::string::npos) << text;
}

TEST(BenchTable, DurationsHaveThreeDigitsAndAUnit) {
  EXPECT_EQ(duration_of_ns(14.44), "14.4 ns");
  EXPECT_EQ(duration_of_ns(1234), "1.23 us");
  EXPECT_EQ(duration_of_ns(45e6), "45 ms");
  EXPECT_EQ(duration_of_ns(2e9), "2 s");
  EXPECT_EQ(duration_of_ns(NAN), "-");
}

}  // namespace
}  // namespace hobbs
