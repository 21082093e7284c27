#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>

#include "harness/conform/agent_command.h"
#include "harness/conform/case_driver.h"
#include "harness/conform/run_cases.h"
#include "reports/replay_case.h"
#include "scenarios/cases/differences.h"
#include "scenarios/cases/shipped.h"

namespace hobbs {
namespace {

std::vector<ConformanceCase> shipped() {
  CaseFile file = parse_cases(shipped_cases());
  EXPECT_EQ(file.error, "");
  return std::move(file.cases);
}

std::vector<Result> run(const CaseOptions& options) {
  const CaseResults run = run_cases(shipped(), options);
  EXPECT_EQ(run.error, "");
  return run.results;
}

/// Whatever the machine does, no case may fail.
void expect_no_failure(const std::vector<Result>& results) {
  std::map<std::string, std::string> why;  // Reason to cases.
  for (const Result& result : results) {
    EXPECT_NE(result.verdict, Verdict::kFail)
        << result.rule << ": " << (result.finding ? result.finding->summary : "");
    if (!result.reason.empty()) why[result.reason] += " " + result.rule;
  }
  for (const auto& [reason, rules] : why) std::printf("%s:%s\n", reason.c_str(), rules.c_str());
}

/// A loaded machine may leave a case open here and there; else all of these locks' pass, but for so
/// many that are skipped.
void expect_passes(const std::vector<Result>& results, const std::string& locks,
                   std::size_t skipped) {
  std::map<Verdict, std::size_t> count;
  for (const Result& result : results) {
    if (result.lock.starts_with(locks)) ++count[result.verdict];
  }
  EXPECT_GT(count[Verdict::kPass], 9 * count[Verdict::kInconclusive]) << locks;
  EXPECT_EQ(count[Verdict::kSkipped], skipped) << locks;
}

TEST(ShippedCasesTest, CoverEveryLockOfTheSeedsUnderNamesOfTheirOwn) {
  std::map<std::string, int> of_lock;
  std::set<std::string> ids;
  for (const ConformanceCase& one : shipped()) {
    ++of_lock[one.lock];
    EXPECT_TRUE(ids.insert(one.id).second) << one.id << " stands twice";
    EXPECT_FALSE(one.source.empty()) << one.id << " does not say whose promise it checks";
  }
  for (const char* lock :
       {"th.Lock", "th.RLock", "th.local", "mp.Lock", "mp.RLock", "mp.Semaphore",
        "mp.BoundedSemaphore", "fa.InterProcessLock", "fa.InterProcessReaderWriterLock", "fa.deco",
        "mpu.SharedLock", "mpu.SharedRLock", "mpu.local"}) {
    EXPECT_GT(of_lock[lock], 0) << lock;
  }
}

TEST(ShippedCasesTest, EveryKnownDifferenceNamesAStepOfACase) {
  const DifferenceTable table = parse_differences(shipped_differences());
  EXPECT_EQ(table.error, "");
  const std::vector<ConformanceCase> cases = shipped();
  for (const KnownDifference& entry : table.entries) {
    const auto one = std::find_if(cases.begin(), cases.end(),
                                  [&](const ConformanceCase& c) { return c.id == entry.case_id; });
    if (one == cases.end()) continue;  // Of a file that is not shipped.
    const bool found = std::any_of(one->steps.begin(), one->steps.end(), [&](const CaseStep& step) {
      return is_about(entry, entry.agent, one->id, step.text);
    });
    EXPECT_TRUE(found) << entry.case_id << " has no step " << entry.step;
  }
}

TEST(ShippedCasesTest, PythonsOwnLocksKeepTheirPromises) {
  CaseOptions options;
  options.agent = "python";
  options.differences = shipped_differences();
  const std::vector<Result> results = run(options);
  expect_no_failure(results);
  for (const char* locks : {"th.", "fa."}) expect_passes(results, locks, 0);
  expect_passes(results, "mp.", 1);  // The hazard below.
}

TEST(ShippedCasesTest, TheCppLocksKeepTheirPromises) {
  CaseOptions options;
  options.cpp_agent = "harness/agent/agent";
  options.differences = shipped_differences();
  const std::vector<Result> results = run(options);
  expect_no_failure(results);
  for (const char* locks : {"th.", "mp.", "fa.", "mpu."}) expect_passes(results, locks, 0);
}

TEST(ShippedCasesTest, AReplayThatContradictsItsCaseIsRefused) {
  const auto error_of = [](auto change) {
    const ConformanceCase one = shipped().front();
    ReplayCase replay;
    replay.lock = one.lock;
    replay.driver = "conform";
    replay.scenario = "cases";
    replay.rule = one.id;
    replay.options = {{"agent", "cpp"}, {"case", to_text(one)}};
    change(replay);
    CaseOptions options;
    options.cpp_agent = "harness/agent/agent";
    return case_driver({}, options)->replay(agent_subject("cpp"), to_json(replay), {}).error;
  };
  EXPECT_EQ(error_of([](ReplayCase&) {}), "");
  EXPECT_NE(error_of([](ReplayCase& replay) { replay.lock = "nosuch"; }), "");
  EXPECT_NE(error_of([](ReplayCase& replay) { replay.rule = "X-1"; }), "");
  EXPECT_NE(
      error_of([](ReplayCase& replay) { replay.program = parse_program("lock unlock").program; }),
      "");
}

/// The other way round: what the table excuses is really there.
TEST(ShippedCasesTest, AHazardOfTheRealOneIsFoundIfNobodyExcusesIt) {
  CaseOptions options;
  options.agent = "python";
  options.rules = "MRD-04";
  const std::vector<Result> results = run(options);
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results.front().verdict, Verdict::kFail) << results.front().reason;
  options.differences = shipped_differences();
  EXPECT_EQ(run(options).front().verdict, Verdict::kSkipped);
}

}  // namespace
}  // namespace hobbs
