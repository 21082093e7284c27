#include "reports/statistics.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>

namespace hobbs {
namespace {

TEST(Jain, IsOneForEqualSharesAndOneOverNForAMonopoly) {
  EXPECT_DOUBLE_EQ(jain_index({5, 5, 5}), 1);
  EXPECT_DOUBLE_EQ(jain_index({7, 0, 0, 0}), 0.25);
  EXPECT_DOUBLE_EQ(jain_index({}), 1);
  EXPECT_DOUBLE_EQ(jain_index({0, 0}), 1);
  EXPECT_DOUBLE_EQ(jain_index({1, 3}), 0.8);
}

TEST(Median, OfOddEvenAndNoValues) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_TRUE(std::isnan(median({})));
  EXPECT_DOUBLE_EQ(median_deviation({1, 1, 2, 2, 4, 6, 9}), 1);
}

// The values of R 4.2: wilcox.test(x, exact = TRUE)$p.value, and of published tables.
TEST(Wilcoxon, MatchesKnownValues) {
  EXPECT_DOUBLE_EQ(wilcoxon_signed_rank({1, 2, 3, 4, 5}).p, 0.0625);
  // Rank sum 3 of ten: 5 of 1024 choices of signs are as low.
  EXPECT_DOUBLE_EQ(wilcoxon_signed_rank({1, 2, -3, 4, 5, 6, 7, 8, 9, 10}).p, 10.0 / 1024);
  const std::vector<double> depression{-0.952, 0.147,  -1.022, -0.430, -0.620,
                                       -0.590, -0.490, 0.080,  -0.010};
  EXPECT_NEAR(wilcoxon_signed_rank(depression).p, 0.0390625, 1e-12);
}

TEST(Wilcoxon, NothingToTestIsNoEvidence) {
  EXPECT_DOUBLE_EQ(wilcoxon_signed_rank({}).p, 1);
  EXPECT_DOUBLE_EQ(wilcoxon_signed_rank({0, 0, 0}).p, 1);
  EXPECT_EQ(wilcoxon_signed_rank({0, 1, 0}).n, 1u);
}

/// Every choice of signs, counted.
double by_enumeration(const std::vector<double>& magnitudes, const std::vector<double>& signs) {
  const std::size_t n = magnitudes.size();
  std::vector<double> ranks;
  for (const double m : magnitudes) {
    double below = 0;
    double same = 0;
    for (const double other : magnitudes) {
      below += other < m;
      same += other == m;
    }
    ranks.push_back(below + (same + 1) / 2);
  }
  const double total = static_cast<double>(n * (n + 1)) / 2;
  double negative = 0;
  for (std::size_t i = 0; i < n; ++i) negative += signs[i] < 0 ? ranks[i] : 0;
  const double smaller = std::min(negative, total - negative);
  double as_low = 0;
  for (std::size_t choice = 0; choice < (std::size_t{1} << n); ++choice) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += (choice >> i & 1) != 0 ? ranks[i] : 0;
    as_low += sum <= smaller;
  }
  return std::min(1.0, 2 * as_low / std::pow(2, static_cast<double>(n)));
}

RC_GTEST_PROP(Wilcoxon, IsExactWithTiesToo, ()) {
  const auto magnitudes = *rc::gen::resize(
      10, rc::gen::nonEmpty(rc::gen::container<std::vector<double>>(
              rc::gen::cast<double>(rc::gen::resize(rc::kNominalSize, rc::gen::inRange(1, 6))))));
  std::vector<double> signs;
  std::vector<double> differences;
  for (const double magnitude : magnitudes) {
    signs.push_back(*rc::gen::element(-1.0, 1.0));
    differences.push_back(magnitude * signs.back());
  }
  RC_PRE(magnitudes.size() <= 12u);
  RC_ASSERT(std::abs(wilcoxon_signed_rank(differences).p - by_enumeration(magnitudes, signs)) <
            1e-9);
}

TEST(Wilcoxon, ApproximationMeetsTheExactOneWhereTheyChange) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> shifted(0.2, 1);
  std::vector<double> values;
  while (values.size() < 100) values.push_back(shifted(random));
  const double exact = wilcoxon_signed_rank(values).p;
  values.push_back(1e-9);  // One more, which by itself says nothing.
  EXPECT_NEAR(wilcoxon_signed_rank(values).p, exact, 0.2 * exact + 0.002);
}

TEST(Wilcoxon, FalseAlarmsAreAsRareAsTheLevelSays) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> noise(0, 1);
  int alarms = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<double> values(36);
    for (double& value : values) value = noise(random);
    alarms += wilcoxon_signed_rank(values).p < 0.01;
  }
  EXPECT_LE(alarms, 40);  // 20 expected.
  EXPECT_GE(alarms, 5);
}

TEST(MedianInterval, CoversTheMedianAsOftenAsItSays) {
  std::mt19937_64 random(3);
  std::exponential_distribution<double> skewed(1);
  int covered = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    std::vector<double> values(36);
    for (double& value : values) value = skewed(random);
    const Interval interval = median_interval(values, 0.95);
    covered += interval.low <= std::log(2) && std::log(2) <= interval.high;
  }
  EXPECT_GE(covered, 940);
  EXPECT_LE(covered, 990);
}

TEST(MedianInterval, SaysNothingOfTooFewValues) {
  const Interval interval = median_interval({1, 2, 3}, 0.99);
  EXPECT_TRUE(std::isinf(interval.low));
  EXPECT_TRUE(std::isinf(interval.high));
  EXPECT_DOUBLE_EQ(median_interval({1, 2, 3, 4, 5, 6, 7, 8}, 0.99).low, 1);
}

}  // namespace
}  // namespace hobbs
