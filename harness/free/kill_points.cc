#include "harness/free/kill_points.h"

#include <algorithm>
#include <bit>

namespace hobbs::gang {

void KillPoints::tried(bool died) {
  const std::uint32_t point = next();
  if (covered_ < order_.size()) ++covered_;
  if (!bounded_) {
    bounded_ = !died || point == kMost;
    if (bounded_) {
      fill_gaps();
    } else {
      order_.push_back(std::min(2 * point, kMost));
    }
  }
  at_ = (at_ + 1) % order_.size();
}

/// The points up to the one at which nobody died, without those that were tried: odd multiples of
/// ever smaller powers of two.
void KillPoints::fill_gaps() {
  const std::uint32_t end = order_.back();
  for (std::uint32_t step = std::bit_floor(end); step > 0; step /= 2) {
    for (std::uint32_t point = step; point < end; point += 2 * step) {
      if (std::count(order_.begin(), order_.end(), point) == 0) order_.push_back(point);
    }
  }
}

}  // namespace hobbs::gang
