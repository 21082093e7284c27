// A histogram of durations that is plain memory: fixed size, no pointers, all-zero bytes are the
// empty one. So a worker can fill it in shared memory and it survives whoever filled it.
//
// Log-linear: values below 128 have a bucket each, and every octave above has 128 of equal width.
// The middle of a bucket is at most 1/256 away from anything in it, so a quantile is within 0.4 %
// of a value really recorded (1 % is promised). Source: the idea of HdrHistogram (Gil Tene 2012).
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace hobbs {

/// One writer at a time; a reader beside a writer sees a mixture of old and new counts. Units are
/// the caller's (nanoseconds here). Values above kMax are counted as kMax.
class Histogram {
 public:
  static constexpr std::uint64_t kMax = (std::uint64_t{1} << 44) - 1;  // Nearly 5 h of ns.

  /// No branch depends on earlier values, nothing is allocated: a few nanoseconds.
  void record(std::uint64_t value) { record(value, 1); }

  /// The same value so many times.
  void record(std::uint64_t value, std::uint64_t times) {
    if (times == 0) return;
    if (value > kMax) value = kMax;
    counts_[index_of(value)] += times;
    count_ += times;
    sum_ += value * times;
    if (value > max_) max_ = value;
    if (~value > not_min_) not_min_ = ~value;
  }

  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    if (other.max_ > max_) max_ = other.max_;
    if (other.not_min_ > not_min_) not_min_ = other.not_min_;
  }

  void clear() { *this = Histogram{}; }

  std::uint64_t count() const { return count_; }
  /// Exact; 0 when empty.
  std::uint64_t max() const { return max_; }
  std::uint64_t min() const { return count_ == 0 ? 0 : ~not_min_; }
  double mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }

  /// The smallest value that at least the fraction `q` of all recorded values does not exceed,
  /// within 1 %; q <= 0 gives min(), q >= 1 max(), an empty histogram 0.
  std::uint64_t quantile(double q) const {
    if (count_ == 0) return 0;
    if (!(q > 0)) return min();
    // Before ceil: 0.99 * 100 is 99.00000000000001 on some roads there.
    const double exact = q * static_cast<double>(count_);
    const double wanted = std::ceil(exact - 1e-9 * exact);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (static_cast<double>(seen) >= wanted) return within(middle_of(i));
    }
    return max_;
  }

  /// The smallest value such that values up to it make up the fraction `q` of the sum of all:
  /// "half of all time spent waiting was spent in waits of at least this length".
  std::uint64_t weighted_quantile(double q) const {
    if (count_ == 0) return 0;
    double total = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) total += weight_of(i);
    double seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += weight_of(i);
      if (counts_[i] != 0 && seen >= q * total) return within(middle_of(i));
    }
    return max_;
  }

 private:
  static constexpr unsigned kSubBits = 7;
  static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
  static constexpr std::size_t kBuckets = (44 - kSubBits + 1) * kSub;

  static constexpr std::size_t index_of(std::uint64_t value) {
    if (value < kSub) return static_cast<std::size_t>(value);
    const unsigned octave = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    return (octave + 1) * kSub + static_cast<std::size_t>((value >> octave) & (kSub - 1));
  }
  static constexpr std::uint64_t middle_of(std::size_t index) {
    if (index < kSub) return index;
    const std::size_t octave = index / kSub - 1;
    const std::uint64_t low = (kSub + index % kSub) << octave;
    return low + ((std::uint64_t{1} << octave) >> 1);
  }
  std::uint64_t within(std::uint64_t value) const {
    return value > max_ ? max_ : value < min() ? min() : value;
  }
  double weight_of(std::size_t i) const {
    return static_cast<double>(counts_[i]) * static_cast<double>(middle_of(i));
  }

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
  std::uint64_t not_min_ = 0;  // The minimum's complement: so that zero bytes mean empty.
};

}  // namespace hobbs
