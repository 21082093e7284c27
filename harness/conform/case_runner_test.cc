#include "harness/conform/case_runner.h"

#include <gtest/gtest.h>

#include "harness/conform/agent_command.h"
#include "harness/conform/canary.h"
#include "harness/conform/run_cases.h"

namespace hobbs {
namespace {

constexpr const char* kCase = R"([T-1] th.Lock | all that a lock does
new L th.Lock()
A.t1 L.acquire() -> true
A L.acquire(False) -> false
A L.acquire(timeout=0.2) -> false @0.19..1
A.t1 L.acquire() -> blocks
A L.release() -> none
wait A.t1 -> true
A L.release() -> none
A L.release() -> !RuntimeError
)";

/// Runs `text` against the agent with this lie.
CaseOutcome run_lie(const std::string& lie, const char* text = kCase) {
  const CaseFile file = parse_cases(text);
  EXPECT_EQ(file.error, "");
  const std::string python = find_agent("python").words.at(0);
  const Canary canary;
  CaseSetting setting;
  setting.command = {python, "harness/conform/lying_agent.py", lie};
  setting.canary = &canary;
  setting.patience = {8'000'000'000, 4'000'000'000};
  return run_case(file.cases.at(0), setting);
}

TEST(CaseRunnerTest, AnHonestAgentPasses) {
  const CaseOutcome outcome = run_lie("none");
  EXPECT_EQ(outcome.verdict, Verdict::kPass) << outcome.reason;
  ASSERT_EQ(outcome.moments.size(), 9U);
  EXPECT_EQ(outcome.moments[4].text, "A.t1 L.acquire() -> waits");
  EXPECT_EQ(outcome.moments[6].text, "wait A.t1 -> true");
}

/// The one result of kCase by run_cases(), which confirms.
Result run_confirmed(const std::string& lie) {
  CaseOptions options;
  options.agent =
      "exec:" + find_agent("python").words.at(0) + " harness/conform/lying_agent.py '" + lie + "'";
  const CaseResults run = run_cases(parse_cases(kCase).cases, options);
  EXPECT_EQ(run.error, "");
  return run.results.at(0);
}

TEST(RunCasesTest, AFindingHasBeenRepeated) {
  const Result broken = run_confirmed("dies");
  ASSERT_EQ(broken.verdict, Verdict::kFail) << broken.reason;
  EXPECT_EQ(broken.finding->failed, 5U);
  EXPECT_EQ(broken.finding->of, 5U);
  const Result killed = run_confirmed("dies once");
  EXPECT_EQ(killed.verdict, Verdict::kInconclusive);
  EXPECT_NE(killed.reason.find("not in 4 more runs"), std::string::npos) << killed.reason;
}

struct Lie {
  const char* lie;
  const char* step;    // At which it must be caught; null where that is a matter of timing.
  const char* reason;  // Part of the sentence.
};

class LieTest : public testing::TestWithParam<Lie> {};

TEST_P(LieTest, IsCaught) {
  const auto [lie, step, reason] = GetParam();
  const CaseOutcome outcome = run_lie(lie);
  EXPECT_EQ(outcome.verdict, Verdict::kFail);
  if (step != nullptr) {
    EXPECT_EQ(outcome.step, step);
  }
  EXPECT_NE(outcome.reason.find(reason), std::string::npos) << outcome.reason;
}

INSTANTIATE_TEST_SUITE_P(
    AboutTheLock, LieTest,
    testing::Values(Lie{"wrong result", "A.t1 L.acquire() -> true", "it gave none"},
                    Lie{"wrong type", "A.t1 L.acquire() -> true", "it gave 1"},
                    Lie{"returns though held", "A L.acquire(False) -> false", "it gave true"},
                    Lie{"returns late though held", "A.t1 L.acquire() -> blocks", "it must block"},
                    Lie{"times out early", "A L.acquire(timeout=0.2) -> false @0.19..1",
                        "too early"},
                    Lie{"times out late", "A L.acquire(timeout=0.2) -> false @0.19..1", "too late"},
                    Lie{"never wakes", "wait A.t1 -> true", "still blocks"},
                    Lie{"blocks in release", "A L.release() -> none", "must return, but it blocks"},
                    Lie{"wrong error", "A L.release() -> !RuntimeError", "it gave !ValueError"},
                    Lie{"no error", "A L.release() -> !RuntimeError", "it gave none"},
                    Lie{"dies", "A L.acquire(False) -> false",
                        "ended during the call; it printed: cannot go"}));

INSTANTIATE_TEST_SUITE_P(
    AboutTheProtocol, LieTest,
    testing::Values(Lie{"garbage", "new L th.Lock()", "sent a line that is no reply"},
                    Lie{"nests deeply", "new L th.Lock()", "nests too deeply: [[["},
                    Lie{"no text", "new L th.Lock()", "is no reply: {\"id\": ??"},
                    Lie{"no result", "new L th.Lock()", "sent a line that is no reply"},
                    Lie{"false times", "new L th.Lock()", "times outside of the call"},
                    Lie{"future times", "new L th.Lock()", "times outside of the call"},
                    Lie{"answers twice", nullptr, "it answered a request"},
                    Lie{"no end of line", "new L th.Lock()", "more than 1 MiB"},
                    Lie{"never connects", "", "did not connect in 8.0 s"},
                    Lie{"ends at once", "", "without connecting; it printed: no way to start"},
                    Lie{"hangs up", "", "did not say hello"},
                    Lie{"says no hello", "", "did not say hello"},
                    Lie{"false process", "", "said hello as 'root' with process id 1"}));

TEST(CaseRunnerTest, ACallThatOnlyComputesIsNotJudged) {
  const CaseOutcome outcome = run_lie("computes");
  EXPECT_EQ(outcome.verdict, Verdict::kInconclusive);
  EXPECT_EQ(outcome.step, "A L.acquire(False) -> false");
  EXPECT_NE(outcome.reason.find("neither returned nor blocked: A was running"), std::string::npos)
      << outcome.reason;
}

TEST(CaseRunnerTest, ACommandThatCannotBeStartedIsNoVerdictOnALock) {
  const Canary canary;
  CaseSetting setting;
  setting.command = {"/nowhere/agent"};
  setting.canary = &canary;
  const CaseOutcome outcome = run_case(parse_cases(kCase).cases.at(0), setting);
  EXPECT_EQ(outcome.verdict, Verdict::kInconclusive);
  EXPECT_EQ(outcome.reason, "cannot start '/nowhere/agent': No such file or directory");
}

TEST(CaseRunnerTest, AMissingLibraryIsASkip) {
  const CaseOutcome outcome =
      run_lie("none", "[T-2] no.Such | t\nnew L mpu.No()\nA L.acquire() -> true\n");
  EXPECT_EQ(outcome.verdict, Verdict::kSkipped);
  EXPECT_NE(outcome.reason.find("multiprocessing_utils"), std::string::npos) << outcome.reason;
}

TEST(CaseRunnerTest, ASleepingCallThatTimeEndsIsWaitedFor) {
  const CaseOutcome outcome = run_lie("none", R"([T-3] th.Lock | long timeouts are not blocks
new L th.Lock()
A L.acquire() -> true
A.t1 L.acquire(timeout=1.5) -> false @1.4..
A.t1 L.acquire(timeout=30) -> blocks
A L.release() -> none
wait A.t1 -> true
)");
  EXPECT_EQ(outcome.verdict, Verdict::kPass) << outcome.step << outcome.reason;
}

}  // namespace
}  // namespace hobbs
