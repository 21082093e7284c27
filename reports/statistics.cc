#include "reports/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <cstdint>
#include <limits>

namespace hobbs {
namespace {

constexpr std::size_t kExactMax = 100;

struct Ranks {
  std::vector<std::uint32_t> twice;  // Twice the mean rank: a whole number even with ties.
  std::vector<bool> negative;
  double tie_term = 0;  // Sum of t^3 - t over groups of t equal magnitudes.
};

Ranks rank(std::vector<double> differences) {
  std::erase(differences, 0.0);
  std::sort(differences.begin(), differences.end(),
            [](double a, double b) { return std::abs(a) < std::abs(b); });
  Ranks ranks;
  for (std::size_t from = 0; from < differences.size();) {
    std::size_t to = from;
    while (to < differences.size() && std::abs(differences[to]) == std::abs(differences[from])) {
      ++to;
    }
    // Ranks from+1 .. to, shared.
    for (std::size_t i = from; i < to; ++i) {
      ranks.twice.push_back(static_cast<std::uint32_t>(from + 1 + to));
      ranks.negative.push_back(differences[i] < 0);
    }
    const double size = static_cast<double>(to - from);
    ranks.tie_term += size * size * size - size;
    from = to;
  }
  return ranks;
}

/// The chance that a random choice of signs gives a doubled rank sum of at most `smaller`.
double exact_tail(const std::vector<std::uint32_t>& twice, std::size_t smaller) {
  // chance[s]: that the negative ranks so far sum to s.
  std::vector<double> chance(smaller + 1, 0.0);
  chance[0] = 1;
  for (const std::uint32_t r : twice) {
    for (std::size_t s = smaller + 1; s-- > 0;) {
      chance[s] = 0.5 * (chance[s] + (s >= r ? chance[s - r] : 0.0));
    }
  }
  double tail = 0;
  for (const double c : chance) tail += c;
  return tail;
}

double approximate_tail(double n, double smaller, double tie_term) {
  const double mean = n * (n + 1) / 4;
  const double variance = n * (n + 1) * (2 * n + 1) / 24 - tie_term / 48;
  if (variance <= 0) return 1;
  return boost::math::cdf(boost::math::normal(), (smaller + 0.5 - mean) / std::sqrt(variance));
}

}  // namespace

double jain_index(const std::vector<double>& shares) {
  double sum = 0;
  double squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  return squares == 0 ? 1 : sum * sum / (static_cast<double>(shares.size()) * squares);
}

double median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double median_deviation(const std::vector<double>& values) {
  const double middle = median(values);
  std::vector<double> distances;
  for (const double value : values) distances.push_back(std::abs(value - middle));
  return median(std::move(distances));
}

Interval median_interval(std::vector<double> values, double confidence) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (values.empty()) return {-kInfinity, kInfinity};
  std::sort(values.begin(), values.end());
  // How many of n values lie below the true median: binomial with one half. Leave `cut` out at
  // either end, the most whose chance stays within the allowed error.
  const boost::math::binomial below(static_cast<double>(values.size()), 0.5);
  const double allowed = (1 - confidence) / 2;
  std::size_t cut = 0;
  while (cut < values.size() / 2 && boost::math::cdf(below, static_cast<double>(cut)) <= allowed) {
    ++cut;
  }
  if (cut == 0) return {-kInfinity, kInfinity};
  return {values[cut - 1], values[values.size() - cut]};
}

SignedRank wilcoxon_signed_rank(const std::vector<double>& differences) {
  const Ranks ranks = rank(differences);
  SignedRank result;
  result.n = ranks.twice.size();
  if (result.n == 0) return result;
  std::size_t negative = 0;
  std::size_t total = 0;
  for (std::size_t i = 0; i < result.n; ++i) {
    total += ranks.twice[i];
    if (ranks.negative[i]) negative += ranks.twice[i];
  }
  const std::size_t smaller = std::min(negative, total - negative);
  result.smaller = static_cast<double>(smaller) / 2;
  const double tail = result.n <= kExactMax ? exact_tail(ranks.twice, smaller)
                                            : approximate_tail(static_cast<double>(result.n),
                                                               result.smaller, ranks.tie_term);
  result.p = std::min(1.0, 2 * tail);
  return result;
}

}  // namespace hobbs
