// What measurements are summarised and compared by. Pure functions.
#pragma once

#include <cstddef>
#include <vector>

namespace hobbs {

/// Jain's fairness index (Jain, Chiu and Hawe 1984): 1 when all shares are equal, 1/n when one has
/// everything. No share at all, or all zero: 1.
double jain_index(const std::vector<double>& shares);

/// The middle value, or the mean of the two middle ones. NaN when empty.
double median(std::vector<double> values);

/// The median's distance from the values: the median of |value - median|. NaN when empty.
double median_deviation(const std::vector<double>& values);

struct Interval {
  double low = 0;
  double high = 0;
};

/// Between which values the true median lies with at least this confidence, for any distribution:
/// order statistics under the binomial law. With too few values for the confidence it is from
/// minus to plus infinity.
Interval median_interval(std::vector<double> values, double confidence);

struct SignedRank {
  double p = 1;        // Two-sided.
  std::size_t n = 0;   // Differences that are not zero.
  double smaller = 0;  // The rank sum of the rarer sign.
};

/// Wilcoxon's signed-rank test (1945): are these paired differences symmetric around zero? Zeros
/// are left out and ties get their mean rank. Exact up to 100 differences, ties included; above
/// that the normal approximation with tie and continuity correction.
SignedRank wilcoxon_signed_rank(const std::vector<double>& differences);

}  // namespace hobbs
