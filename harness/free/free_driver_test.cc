#include "harness/free/free_driver.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "harness/free/mutants_for_test.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

using std::chrono::milliseconds;

class FreeDriverTest : public testing::Test {
 protected:
  FreeDriverTest() : directory_(testing::TempDir() + "hobbs-free-" + std::to_string(getpid())) {
    std::filesystem::create_directories(directory_);
  }
  ~FreeDriverTest() override { std::filesystem::remove_all(directory_); }

  std::vector<Result> run(const LockSpec& lock, milliseconds budget) {
    Request request;
    request.until = std::chrono::steady_clock::now() + budget;
    request.work_directory = directory_;
    return driver_.run(lock, request);
  }

  /// The one finding, or nothing.
  std::optional<Result> finding(const LockSpec& lock, milliseconds budget) {
    for (Result& result : run(lock, budget)) {
      if (result.verdict == Verdict::kFail) return std::move(result);
    }
    return std::nullopt;
  }

  /// A mutant is caught by the rule, and the replay file shows it again.
  void expect_caught(const LockSpec& lock, const std::string& rules) {
    const std::optional<Result> found = finding(lock, milliseconds(20'000));
    ASSERT_TRUE(found) << lock.name << " was not caught";
    EXPECT_NE(rules.find(found->rule), std::string::npos) << found->rule;
    Request request;
    request.until = std::chrono::steady_clock::now() + milliseconds(30'000);
    request.work_directory = directory_;
    const ReplayOutcome again = driver_.replay(lock, found->finding->replay_json, request);
    EXPECT_EQ(again.error, "");
    EXPECT_GT(again.failed, 0u) << found->finding->program;
    EXPECT_FALSE(found->finding->history.empty());
  }

  FreeDriver driver_;
  std::string directory_;
};

TEST_F(FreeDriverTest, CatchesTwoInsideAtOnce) {
  expect_caught(spec_of<CheckThenSetLock>("check_then_set"), "ME-1,ME-2");
}

TEST_F(FreeDriverTest, CatchesALostWake) {
  expect_caught(spec_of<ForgetfulMutex>("forgetful"), "LV-1");
}

TEST_F(FreeDriverTest, CatchesAReaderBesideAWriter) {
  expect_caught(spec_of<GapRwLock>("gap_rw"), "RW-1");
}

TEST_F(FreeDriverTest, AccusesNoLockOfTheCatalogue) {
  for (const LockSpec& lock : reference_catalog()) {
    for (const Result& result : run(lock, milliseconds(600))) {
      EXPECT_NE(result.verdict, Verdict::kFail)
          << lock.name << ": " << result.rule << ", " << result.finding->summary << "\n"
          << result.finding->program;
    }
  }
}

}  // namespace
}  // namespace hobbs
