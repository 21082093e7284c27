#include "reports/histogram.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <type_traits>
#include <vector>

namespace hobbs {
namespace {

static_assert(std::is_trivially_copyable_v<Histogram>);
static_assert(sizeof(Histogram) < 40'000);

using Values = std::vector<std::uint64_t>;

constexpr double kQuantiles[] = {0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};

std::unique_ptr<Histogram> recorded(const Values& values) {
  auto histogram = std::make_unique<Histogram>();
  for (const std::uint64_t value : values) histogram->record(value);
  return histogram;
}

/// The definition, by sorting.
std::uint64_t exact_quantile(Values values, double q) {
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(q * static_cast<double>(values.size()) * (1 - 1e-9));
  const std::size_t index = rank < 1 ? 0 : static_cast<std::size_t>(rank) - 1;
  return values[std::min(index, values.size() - 1)];
}

/// Durations of every magnitude from 0 to kMax, many small and some huge.
rc::Gen<Values> durations() {
  return rc::gen::nonEmpty(rc::gen::container<Values>(rc::gen::apply(
      [](std::uint64_t bits, unsigned shift) { return (bits & Histogram::kMax) >> shift; },
      rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint64_t>()),
      rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0u, 45u)))));
}

void expect_close(std::uint64_t got, std::uint64_t exact) {
  RC_ASSERT(std::abs(static_cast<double>(got) - static_cast<double>(exact)) <=
            0.01 * static_cast<double>(exact));
}

RC_GTEST_PROP(Histogram, QuantilesAreWithinOnePercentOfExactOnes, ()) {
  const Values values = *durations();
  const auto histogram = recorded(values);
  for (const double q : kQuantiles) expect_close(histogram->quantile(q), exact_quantile(values, q));
}

RC_GTEST_PROP(Histogram, CountMinMaxAndMeanAreExact, ()) {
  const Values values = *durations();
  const auto histogram = recorded(values);
  RC_ASSERT(histogram->count() == values.size());
  RC_ASSERT(histogram->max() == *std::max_element(values.begin(), values.end()));
  RC_ASSERT(histogram->min() == *std::min_element(values.begin(), values.end()));
  const std::uint64_t sum = std::accumulate(values.begin(), values.end(), std::uint64_t{0});
  RC_ASSERT(histogram->mean() == static_cast<double>(sum) / static_cast<double>(values.size()));
}

RC_GTEST_PROP(Histogram, MergingIsRecordingAllValuesInOne, ()) {
  const Values left = *durations();
  const Values right = *durations();
  Values both = left;
  both.insert(both.end(), right.begin(), right.end());
  const auto merged = recorded(left);
  merged->merge(*recorded(right));
  RC_ASSERT(std::memcmp(merged.get(), recorded(both).get(), sizeof(Histogram)) == 0);
}

TEST(Histogram, ZeroBytesAreTheEmptyOne) {
  const auto histogram = std::make_unique<Histogram>();
  const std::vector<unsigned char> zeros(sizeof(Histogram));
  EXPECT_EQ(std::memcmp(histogram.get(), zeros.data(), zeros.size()), 0);
  EXPECT_EQ(histogram->quantile(0.5), 0u);
  EXPECT_EQ(histogram->min(), 0u);
  EXPECT_EQ(histogram->mean(), 0);
}

TEST(Histogram, EveryBucketBoundaryIsWithinOnePercent) {
  for (unsigned shift = 0; shift < 44; ++shift) {
    for (const std::uint64_t offset : {-1, 0, 1}) {
      const std::uint64_t value = std::min((std::uint64_t{1} << shift) + offset, Histogram::kMax);
      const auto histogram = recorded({value, value, Histogram::kMax});
      EXPECT_NEAR(static_cast<double>(histogram->quantile(0.5)), static_cast<double>(value),
                  0.01 * static_cast<double>(value));
    }
  }
}

TEST(Histogram, ValuesOutOfRangeCountAsTheLargest) {
  const auto histogram = recorded({UINT64_MAX});
  EXPECT_EQ(histogram->count(), 1u);
  EXPECT_EQ(histogram->quantile(0.5), Histogram::kMax);
}

TEST(Histogram, WeightedQuantileIsOverTimeNotOverValues) {
  // 99 waits of 1 and one of 901: the mean moment of waiting lies in the long one.
  Values values(99, 1);
  values.push_back(901);
  const auto histogram = recorded(values);
  EXPECT_EQ(histogram->quantile(0.5), 1u);
  EXPECT_NEAR(static_cast<double>(histogram->weighted_quantile(0.5)), 901, 9);
  EXPECT_EQ(histogram->weighted_quantile(0.05), 1u);
}

}  // namespace
}  // namespace hobbs
