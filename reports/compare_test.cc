#include "reports/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace hobbs {
namespace {

/// Pairs of measurements of a machine that drifts and stutters: what both sides of a pair meet is
/// common, a few measurements are far off, and the rest differ by a per cent or two.
class NoisyMachine {
 public:
  explicit NoisyMachine(unsigned seed) : random_(seed) {}

  std::vector<double> session(std::size_t pairs, double slowdown, double noise) {
    std::vector<double> changes;
    for (std::size_t i = 0; i < pairs; ++i) {
      drift_ += std::normal_distribution<double>(0, 0.05)(random_);
      const double first = std::exp(drift_) * once(noise);
      const double second = std::exp(drift_) * once(noise) * (1 + slowdown);
      changes.push_back(second / first - 1);
    }
    return changes;
  }

 private:
  /// A run of three repetitions, as compare makes them: its median.
  double once(double noise) {
    return median({repetition(noise), repetition(noise), repetition(noise)});
  }
  double repetition(double noise) {
    const double jitter = std::exp(std::normal_distribution<double>(0, noise)(random_));
    return std::uniform_real_distribution<double>(0, 1)(random_) < 0.05 ? 2 * jitter : jitter;
  }

  std::mt19937_64 random_;
  double drift_ = 0;
};

int slower_of(int trials, double slowdown, double noise) {
  NoisyMachine machine(42);
  int slower = 0;
  for (int i = 0; i < trials; ++i) {
    const auto first = machine.session(18, slowdown, noise);
    const auto second = machine.session(18, slowdown, noise);
    slower += judge({first, second}, {}).change == Change::kSlower;
  }
  return slower;
}

TEST(Judge, DoesNotAlarmWhenNothingChanged) {
  EXPECT_EQ(slower_of(1000, 0, 0.02), 0);
  EXPECT_LE(slower_of(1000, 0, 0.3), 1);
}

TEST(Judge, FindsAPlantedSlowdown) {
  EXPECT_GE(slower_of(200, 0.2, 0.02), 190);
  EXPECT_GE(slower_of(200, 0.2, 0.05), 190);
}

TEST(Judge, SaysNoChangeOnlyWhenAChangeWouldHaveBeenSeen) {
  NoisyMachine machine(1);
  const Judgement quiet = judge({machine.session(18, 0, 0.01), machine.session(18, 0, 0.01)}, {});
  EXPECT_EQ(quiet.change, Change::kNone);
  EXPECT_LT(quiet.detectable, 0.1);
  const Judgement loud = judge({machine.session(18, 0, 0.5), machine.session(18, 0, 0.5)}, {});
  EXPECT_EQ(loud.change, Change::kInconclusive);
  EXPECT_GT(loud.detectable, 0.1);
  EXPECT_NE(loud.reason, "");
}

TEST(Judge, SessionsMustAgree) {
  const std::vector<double> slower(12, 0.2);
  const std::vector<double> faster(12, -0.2);
  EXPECT_EQ(judge({slower, slower}, {}).change, Change::kSlower);
  EXPECT_EQ(judge({faster, faster}, {}).change, Change::kFaster);
  EXPECT_EQ(judge({slower, faster}, {}).change, Change::kInconclusive);
  EXPECT_EQ(judge({slower, std::vector<double>(12, 0.01)}, {}).change, Change::kInconclusive);
  EXPECT_EQ(judge({slower}, {}).change, Change::kInconclusive);
  EXPECT_EQ(judge({}, {}).change, Change::kInconclusive);
}

TEST(Judge, SmallChangesAndFewPairsAreNoAlarm) {
  EXPECT_EQ(judge({std::vector<double>(20, 0.03), std::vector<double>(20, 0.03)}, {}).change,
            Change::kNone);
  const std::vector<double> few(7, 0.5);
  const Judgement judgement = judge({few, few}, {});
  EXPECT_EQ(judgement.change, Change::kInconclusive);
  EXPECT_NE(judgement.reason.find("too few"), std::string::npos) << judgement.reason;
}

BenchRun run_of(std::vector<double> times) {
  BenchCase one;
  one.lock = "ticket";
  one.workload = "uncontended";
  for (const double ns : times) one.samples.push_back({ns, ns, {}});
  BenchCase only_here = one;
  only_here.lock = std::to_string(times.front());
  BenchRun run;
  run.cases = {only_here, one};
  return run;
}

TEST(CompareRuns, PairsRepetitionsOfTheCasesThatBothHave) {
  const auto cases =
      compare_runs(run_of(std::vector<double>(16, 10)), run_of(std::vector<double>(16, 12)), {});
  ASSERT_EQ(cases.size(), 1u);
  EXPECT_EQ(cases[0].lock, "ticket");
  EXPECT_EQ(cases[0].judgement.change, Change::kSlower);
  EXPECT_NEAR(cases[0].judgement.median, 0.2, 1e-9);
  EXPECT_EQ(overall(cases), Change::kSlower);
  EXPECT_NE(render_comparison(cases, {}).find("10 ns -> 12 ns, +20.0 %"), std::string::npos)
      << render_comparison(cases, {});
  EXPECT_NE(comparison_json(cases, {}).find("\"verdict\": \"slower\""), std::string::npos);
}

TEST(CompareRuns, ALoneWorkersTimeIsTimeOnACore) {
  BenchRun first = run_of(std::vector<double>(16, 10));
  first.cases[1].workload = "uncontended/processes:1/threads:1/hold:0ns";
  BenchRun second = first;
  for (BenchSample& sample : second.cases[1].samples) sample.ns *= 3;  // Others had the core.
  EXPECT_EQ(overall(compare_runs(first, second, {})), Change::kNone);
  for (BenchSample& sample : second.cases[1].samples) sample.cpu_ns *= 1.2;
  EXPECT_EQ(overall(compare_runs(first, second, {})), Change::kSlower);
}

TEST(CompareSessions, RoundsAreComparedWithTheRoundBesideThem) {
  // The machine halves its speed from round to round, and one round of the first run was disturbed.
  const RunPair twice{run_of({10, 20, 80, 80, 160}), run_of({12, 24, 48, 96, 192})};
  const std::vector<RunPair> session(10, twice);
  const auto cases = compare_sessions({session, session}, {});
  ASSERT_EQ(cases.size(), 1u);
  EXPECT_DOUBLE_EQ(cases[0].judgement.median, 12.0 / 10 - 1);
  EXPECT_EQ(cases[0].judgement.change, Change::kSlower);
}

TEST(CompareSessions, TakesThePairsOfEachSession) {
  const std::vector<RunPair> session(10, RunPair{run_of({10}), run_of({8})});
  const auto cases = compare_sessions({session, session}, {});
  ASSERT_EQ(cases.size(), 1u);
  EXPECT_EQ(cases[0].judgement.change, Change::kFaster);
  EXPECT_EQ(cases[0].judgement.pairs, 20u);
  EXPECT_EQ(overall(cases), Change::kFaster);
  EXPECT_EQ(overall(std::vector<ComparedCase>{}), Change::kInconclusive);
}

TEST(CompareSessions, WhatWasNotMeasuredIsInconclusive) {
  RunPair pair{run_of({10}), run_of({10})};
  BenchCase refused = pair.first.cases[1];
  refused.workload = "readers";
  refused.state = BenchState::kRefused;
  refused.samples.clear();
  BenchCase missing = refused;
  missing.workload = "contended";
  missing.state = BenchState::kNotRun;
  missing.reason = "the budget was over";
  for (BenchRun* run : {&pair.first, &pair.second}) {
    run->cases.push_back(refused);
    run->cases.push_back(missing);
  }
  const std::vector<RunPair> session(10, pair);
  const auto both = [&](const std::vector<ComparedCase>& cases) {
    ASSERT_EQ(cases.size(), 3u);  // Not the refused one.
    EXPECT_EQ(cases[2].workload, "contended");
    EXPECT_EQ(cases[2].judgement.change, Change::kInconclusive);
    EXPECT_EQ(cases[2].judgement.reason, "not measured: the budget was over");
    EXPECT_EQ(overall(cases), Change::kInconclusive);
    EXPECT_NE(render_comparison(cases, {}).find("not measured: the budget was over"),
              std::string::npos);
    EXPECT_NE(comparison_json(cases, {}).find("\"first_ns\": null"), std::string::npos);
  };
  both(compare_sessions({session, session}, {}));
  both(compare_runs(pair.first, pair.second, {}));
}

}  // namespace
}  // namespace hobbs
