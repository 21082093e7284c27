// In which order the points of one program are tried at which a worker can be killed.
//
// How many there are is known only by going past the last: 1, 2, 4, 8, ... until nobody dies any
// more. Then the gaps are filled, the widest first, so that whenever the time is up the points that
// were tried are spread evenly; and then all of it again, as each time the others do something
// else.
#pragma once

#include <cstdint>
#include <vector>

namespace hobbs::gang {

class KillPoints {
 public:
  static constexpr std::uint32_t kMost = 120;  // Points after these are not tried.

  /// The next point to try, 1..kMost.
  std::uint32_t next() const { return order_[at_]; }
  /// What came of trying next().
  void tried(bool died);

  /// How many points there are to try; 0 while that is not known.
  std::uint32_t planned() const { return bounded_ ? static_cast<std::uint32_t>(order_.size()) : 0; }
  /// How many of them have been tried.
  std::uint32_t covered() const { return covered_; }

 private:
  void fill_gaps();

  std::vector<std::uint32_t> order_{1};
  std::size_t at_ = 0;
  std::uint32_t covered_ = 0;
  bool bounded_ = false;
};

}  // namespace hobbs::gang
