// A number that each worker keeps about an object: what a lock knows of its caller's hold.
//
// On the machine it is process-and-thread-local (process_local.h), so neither a thread with a
// recycled id nor a forked child finds another's. On a modelled machine it lies in the object, one
// place a worker, so that the model sees, compares and resets it with the rest.
#pragma once

#include <array>

#include "locks/hooked_platform.h"
#include "locks/real_platform.h"
#include "locks/seeds/process_local.h"

namespace hobbs {

template <class P>
class PerWorker {
 public:
  std::uint32_t get() const { return numbers_[P::self()]; }
  void set(std::uint32_t number) { numbers_[P::self()] = number; }

 private:
  std::array<std::uint32_t, kMaxWorkers + 1> numbers_{};
};

template <>
class PerWorker<RealPlatform> {
 public:
  /// 0 if none was set.
  std::uint32_t get() const {
    const std::uint32_t* const number = numbers_.get();
    return number == nullptr ? 0 : *number;
  }
  void set(std::uint32_t number) {
    if (number == 0) {
      numbers_.erase();
    } else {
      numbers_.set(number);
    }
  }

 private:
  ProcessLocal<std::uint32_t> numbers_;
};
template <>
class PerWorker<HookedPlatform> : public PerWorker<RealPlatform> {};

}  // namespace hobbs
