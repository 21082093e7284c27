#include "harness/free/kill_points.h"

#include <gtest/gtest.h>

#include <set>

namespace hobbs::gang {
namespace {

/// Tries `times` points of a program that has `points` of them; returns those tried.
std::multiset<std::uint32_t> try_points(KillPoints& plan, std::uint32_t points, int times) {
  std::multiset<std::uint32_t> tried;
  for (int i = 0; i < times; ++i) {
    tried.insert(plan.next());
    plan.tried(plan.next() <= points);
  }
  return tried;
}

TEST(KillPointsTest, TriesEveryPointOnceBeforeAnyTwice) {
  for (std::uint32_t points = 1; points <= KillPoints::kMost; ++points) {
    KillPoints plan;
    std::multiset<std::uint32_t> tried;
    while (plan.planned() == 0 || plan.covered() < plan.planned()) {
      ASSERT_LE(tried.size(), 2 * points + 2);
      tried.insert(plan.next());
      plan.tried(plan.next() <= points);
    }
    for (std::uint32_t k = 1; k <= points; ++k)
      EXPECT_EQ(tried.count(k), 1u) << k << " of " << points;
  }
}

TEST(KillPointsTest, SpreadsWhatItTriesEvenly) {
  KillPoints plan;
  const auto tried = try_points(plan, 40, 16);
  for (std::uint32_t k = 1; k <= 40; k += 8) {
    const auto next = tried.lower_bound(k);
    ASSERT_NE(next, tried.end());
    EXPECT_LE(*next - k, 8u);
  }
}

TEST(KillPointsTest, BeginsAnewWhenAllAreTried) {
  KillPoints plan;
  const auto tried = try_points(plan, 5, 200);
  for (std::uint32_t k = 1; k <= 5; ++k) EXPECT_GT(tried.count(k), 10u);
}

TEST(KillPointsTest, KnowsNoBoundBeforeSomebodyLives) {
  KillPoints plan;
  try_points(plan, 1000, 3);
  EXPECT_EQ(plan.planned(), 0u);
  EXPECT_EQ(plan.covered(), 3u);
  try_points(plan, 1000, 200);
  EXPECT_EQ(plan.planned(), KillPoints::kMost);
  EXPECT_EQ(plan.covered(), KillPoints::kMost);
}

}  // namespace
}  // namespace hobbs::gang
