// A vector clock over the few workers of an exhaustive search: one machine register.
//
// clock[t] = n means: the first n events of worker t are in the set. All sets that the search asks
// about (happens-before and program-order-reads-from prefixes) are such prefixes.
#pragma once

#include <cstdint>

namespace hobbs::explore::graph {

/// The most workers that one search can have.
inline constexpr int kMaxThreads = 8;

class Clock {
 public:
  int operator[](int thread) const { return lanes_[thread]; }
  void set(int thread, int count) { lanes_[thread] = static_cast<std::int16_t>(count); }
  bool contains(int thread, int position) const { return lanes_[thread] > position; }
  void join(const Clock& other) { lanes_ = lanes_ > other.lanes_ ? lanes_ : other.lanes_; }

 private:
  using Lanes = std::int16_t __attribute__((vector_size(2 * kMaxThreads)));
  Lanes lanes_;  // Clock{} has zeros.
};

}  // namespace hobbs::explore::graph
