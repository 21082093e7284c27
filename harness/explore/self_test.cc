// HX-1 and HX-2 for explore: the broken locks of the gallery are caught by the rule they break,
// with a finding that replays; the reference locks are accused of nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "harness/explore/explore_driver.h"
#include "locks/mutants/gallery.h"

namespace hobbs {
namespace {

using std::chrono::steady_clock;

Request request(std::chrono::milliseconds budget) {
  Request request;
  request.until = steady_clock::now() + budget;
  return request;
}

const Result* finding_of(const std::vector<Result>& results) {
  const auto found = std::ranges::find(results, Verdict::kFail, &Result::verdict);
  return found == results.end() ? nullptr : &*found;
}

std::string name_of(const auto& info) { return info.param.name; }

class Gallery : public testing::TestWithParam<mutants::Mutant> {};

TEST_P(Gallery, IsCaughtByItsRuleAndReplays) {
  ExploreDriver driver;
  const LockSpec& lock = GetParam().lock;
  // Each takes milliseconds; the budget is for a loaded machine.
  const std::vector<Result> results = driver.run(lock, request(std::chrono::seconds(30)));
  const Result* const found = finding_of(results);
  ASSERT_NE(found, nullptr) << lock.name << " was not caught";
  EXPECT_TRUE(std::ranges::count(GetParam().rules, found->rule) == 1)
      << lock.name << " was accused by " << found->rule << ": " << found->finding->summary;
  EXPECT_EQ(found->finding->failed, found->finding->of);
  EXPECT_FALSE(found->finding->history.empty() && !found->finding->schedule.empty());

  const ReplayOutcome again =
      driver.replay(lock, found->finding->replay_json, request(std::chrono::seconds(30)));
  EXPECT_EQ(again.error, "");
  EXPECT_GT(again.of, 0u);
  EXPECT_EQ(again.failed, again.of);
  EXPECT_EQ(again.result.rule, found->rule);
}

INSTANTIATE_TEST_SUITE_P(Explore, Gallery, testing::ValuesIn(mutants::gallery()),
                         [](const auto& info) { return info.param.lock.name; });

class Reference : public testing::TestWithParam<LockSpec> {};

TEST_P(Reference, IsAccusedOfNothing) {
  ExploreDriver driver;
  if (const std::string why = driver.unfit(GetParam()); !why.empty()) return;
  const std::vector<Result> results =
      driver.run(GetParam(), request(std::chrono::milliseconds(1200)));
  ASSERT_FALSE(results.empty());
  std::uint64_t executions = 0;
  for (const Result& result : results) {
    executions += result.executions;
    EXPECT_NE(result.verdict, Verdict::kFail)
        << result.scenario << ", " << result.rule << ": "
        << (result.finding ? result.finding->summary + ", " + result.finding->program : "");
  }
  EXPECT_GT(executions, 0u);
}

INSTANTIATE_TEST_SUITE_P(Explore, Reference, testing::ValuesIn(reference_catalog()),
                         name_of<testing::TestParamInfo<LockSpec>>);

}  // namespace
}  // namespace hobbs
