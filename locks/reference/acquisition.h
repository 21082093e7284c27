// What an acquire did, for locks that have more to say than yes or no.
#pragma once

#include "locks/lock.h"

namespace hobbs {

/// Reads as bool (does the caller hold the lock now?), which is what std::unique_lock and
/// std::scoped_lock want, and as the Outcome itself for those who ask whether an owner died.
class Acquisition {
 public:
  constexpr Acquisition(Outcome outcome) : outcome_(outcome) {}
  constexpr operator bool() const { return holds(outcome_); }
  constexpr operator Outcome() const { return outcome_; }

 private:
  Outcome outcome_;
};

}  // namespace hobbs
