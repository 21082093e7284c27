#include "harness/conform/conform_driver.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "locks/adapters/adapters.h"
#include "reports/replay_case.h"

namespace hobbs {
namespace {

std::unique_ptr<Driver> driver() { return conform_driver({"cpp", "harness/agent/agent"}); }

Request request_of(std::chrono::milliseconds budget) {
  Request request;
  request.until = std::chrono::steady_clock::now() + budget;
  return request;
}

TEST(ConformDriverTest, NoReferenceLockIsAccused) {
  for (const LockSpec& spec : reference_catalog()) {
    SCOPED_TRACE(spec.name);
    EXPECT_EQ(driver()->unfit(spec), "");
    const std::vector<Result> results = driver()->run(spec, request_of(std::chrono::seconds(2)));
    EXPECT_FALSE(results.empty());
    for (const Result& result : results) {
      EXPECT_NE(result.verdict, Verdict::kFail)
          << result.topology << ": " << (result.finding ? result.finding->summary : "") << "\n"
          << (result.finding ? result.finding->program : "");
      EXPECT_NE(result.verdict, Verdict::kSkipped) << result.reason;
      std::printf("%s, %s: %s, %s\n", spec.name.c_str(), result.topology.c_str(),
                  std::string(to_string(result.verdict)).c_str(), result.reason.c_str());
    }
  }
}

/// Who ends, dies or forks while it holds a file lock: what the system makes of that is no breach.
TEST(ConformDriverTest, FileLocksMayOutliveTheirHolders) {
  const char* const programs[] = {
      "A.t2 try\nA.t1 acquire\nend A.t2\nA.t2 acquire\n",
      "A.t2 acquire shared\nend A.t2\nA.t1 acquire\n",
      "fork B A\nB try shared\nfork D B\nkill B\nA acquire\n",
      "fork D A.t1\nD.t1 try shared\nend D.t1\nA try\n",
      "fork B A\nB try\nfork C B\nC try\nkill B\nC try\nA acquire\nkill C\n",
  };
  for (LockSpec spec : file_locks()) {
    for (const CrashBehaviour crash :
         {CrashBehaviour::kReleasedBySystem, CrashBehaviour::kStuck}) {
      spec.claims.crash = crash;
      for (const char* program : programs) {
        SCOPED_TRACE(spec.name + ": " + program);
        ReplayCase replay;
        replay.lock = spec.name;
        replay.claims = spec.claims;
        replay.driver = "conform";
        replay.options["calls"] = program;
        const ReplayOutcome run =
            driver()->replay(spec, to_json(replay), request_of(std::chrono::minutes(1)));
        EXPECT_EQ(run.error, "");
        EXPECT_GT(run.of, 0U);
        EXPECT_EQ(run.failed, 0U) << (run.result.finding ? run.result.finding->summary : "");
      }
    }
  }
}

/// A promise that the lock does not make, claimed for it: what it then does is a breach.
TEST(ConformDriverTest, AFalseClaimIsFoundShrunkAndReplayed) {
  Catalog catalog = reference_catalog();
  for (LockSpec& spec : catalog) {
    if (spec.name != "futex_mutex") continue;
    spec.claims.reentrant = true;
    const std::vector<Result> results = driver()->run(spec, request_of(std::chrono::minutes(2)));
    ASSERT_FALSE(results.empty());
    const Result* broken = nullptr;
    for (const Result& result : results) {
      if (result.verdict == Verdict::kFail) broken = &result;
    }
    ASSERT_NE(broken, nullptr);
    EXPECT_EQ(broken->rule.substr(0, 3), "RE-") << broken->finding->summary;
    EXPECT_EQ(parse_moves(broken->finding->program).moves.size(), 2U) << broken->finding->program;
    const ReplayOutcome again =
        driver()->replay(spec, broken->finding->replay_json, request_of(std::chrono::minutes(1)));
    EXPECT_EQ(again.error, "");
    EXPECT_EQ(again.failed, again.of);
    EXPECT_GT(again.failed, 0U);
    EXPECT_EQ(again.result.rule, broken->rule);
  }
}

TEST(ConformDriverTest, AReplayThatDoesNotFitSaysWhy) {
  const LockSpec spec = reference_catalog().front();
  ReplayCase replay;
  replay.lock = spec.name;
  replay.driver = "conform";
  const auto error = [&] {
    return driver()->replay(spec, to_json(replay), request_of(std::chrono::seconds(1))).error;
  };
  EXPECT_EQ(error(), "a conform replay needs the option 'calls'");
  replay.options["calls"] = "A jump";
  EXPECT_EQ(error(), "the option 'calls', line 1: 'jump' is not a call");
}

TEST(ConformDriverTest, ALockThatNobodyServesIsUnfit) {
  LockSpec spec;
  spec.name = "no.such";
  EXPECT_EQ(driver()->unfit(spec), "no agent serves a lock of that name");
  for (const LockSpec& seed : agent_catalog()) EXPECT_EQ(driver()->unfit(seed), "");
}

}  // namespace
}  // namespace hobbs
