// Locks that do not even work alone: told as a verdict on the cases that use what is broken, and on
// no others.
#include "harness/step/plain_trial.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "harness/step/step_driver.h"
#include "harness/step/subjects_for_test.h"

namespace hobbs::step {
namespace {

using namespace step_subjects;

volatile std::uint32_t* nowhere = nullptr;

struct FaultsAsItIsMade : FutexMutex {
  FaultsAsItIsMade() { *nowhere = 1; }
};

struct FaultsInTry : FutexMutex {
  bool try_lock() { return *nowhere == 0; }
};

struct AbortsAlone : FutexMutex {
  void lock() { ::abort(); }
};

struct HangsAlone : FutexMutex {
  void lock() {
    for (;;) ::pause();
  }
};

Request request(std::chrono::milliseconds time) {
  Request made;
  made.until = std::chrono::steady_clock::now() + time;
  made.stop_at_first_finding = false;
  return made;
}

std::vector<Result> run(const LockSpec& lock) {
  return StepDriver().run(lock, request(std::chrono::seconds(60)));
}

TEST(PlainTrial, AFaultInTheConstructorIsOneFindingThatReplays) {
  const LockSpec lock = spec_of<FaultsAsItIsMade>("faults as it is made");
  const std::vector<Result> results = run(lock);
  ASSERT_GT(results.size(), 6u);
  ASSERT_TRUE(results[0].finding.has_value()) << results[0].reason;
  EXPECT_EQ(results[0].verdict, Verdict::kFail);
  EXPECT_EQ(results[0].rule, "LV-2");
  const Finding& finding = *results[0].finding;
  EXPECT_NE(finding.summary.find("died of SIGSEGV at "), std::string::npos) << finding.summary;
  EXPECT_NE(finding.summary.find("FaultsAsItIsMade"), std::string::npos) << finding.summary;
  const ReplayOutcome again =
      StepDriver().replay(lock, finding.replay_json, request(std::chrono::seconds(60)));
  EXPECT_EQ(again.error, "");
  EXPECT_EQ(again.failed, 2u);
  EXPECT_EQ(again.of, 2u);
  const ReplayOutcome healthy = StepDriver().replay(
      spec_of<FutexMutex>("healthy"), finding.replay_json, request(std::chrono::seconds(60)));
  EXPECT_EQ(healthy.error, "");
  EXPECT_EQ(healthy.failed, 0u);
}

TEST(PlainTrial, AFaultInOneCallLeavesTheProgramsWithoutIt) {
  unsigned searched = 0, accused = 0, left_out = 0;
  for (const Result& result : run(spec_of<FaultsInTry>("faults in try"))) {
    const bool tries = result.scenario.find("/try") != std::string::npos;
    if (result.verdict == Verdict::kFail) ++accused;
    if (result.verdict == Verdict::kPass) ++searched;
    if (result.verdict == Verdict::kInconclusive) ++left_out;
    EXPECT_EQ(result.verdict != Verdict::kPass, tries) << result.scenario << " " << result.reason;
  }
  EXPECT_EQ(accused, 1u);
  EXPECT_GE(searched, 6u);
  EXPECT_EQ(left_out, 3u) << "under TSO, and among two";
}

TEST(PlainTrial, WhatEndsItselfIsNotAccused) {
  const std::vector<Result> results = run(spec_of<AbortsAlone>("aborts alone"));
  ASSERT_FALSE(results.empty());
  EXPECT_EQ(results[0].verdict, Verdict::kInconclusive);
  EXPECT_NE(results[0].reason.find("died of SIGABRT"), std::string::npos) << results[0].reason;
}

TEST(PlainTrial, WhatHangsIsNotWaitedFor) {
  const std::vector<Result> results =
      StepDriver().run(spec_of<HangsAlone>("hangs alone"), request(std::chrono::milliseconds(200)));
  ASSERT_FALSE(results.empty());
  EXPECT_EQ(results[0].verdict, Verdict::kInconclusive);
  EXPECT_NE(results[0].reason.find("did not come back"), std::string::npos) << results[0].reason;
}

}  // namespace
}  // namespace hobbs::step
