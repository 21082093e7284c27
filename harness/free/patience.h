// How a worker waits for its own kind: on the harness's words, never on the lock.
#pragma once

#include <sched.h>
#include <time.h>

#include "locks/real_platform.h"

namespace hobbs::gang {

inline constexpr int kSpinsBeforeYield = 200;
inline constexpr int kYieldsBeforeSleep = 3000;

/// Waits on the harness's own words: spins, then yields, then sleeps a little at a time.
template <class Ready>
void wait_until(Ready&& ready) {
  for (int looks = 0; !ready(); ++looks) {
    if (looks < kSpinsBeforeYield) {
      RealPlatform::pause();
    } else if (looks < kYieldsBeforeSleep) {
      sched_yield();
    } else {
      const timespec time{0, 500'000};
      nanosleep(&time, nullptr);
    }
  }
}

}  // namespace hobbs::gang
