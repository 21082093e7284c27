// Reader-preferring readers-writer lock: a reader waits for a writer that is inside, never for one
// that waits. State table and memory orders: futex_rw_lock.h.
//
//   state       shared acquire    exclusive acquire
//   free        enters            enters
//   r readers   enters            waits
//   W           waits             waits
//
// Claims: reader preference, so readers that overlap for ever starve a writer (and an upgrader);
// upgrade, try_upgrade and downgrade are atomic; zero bytes when free.
// Source: P. Courtois, F. Heymans and D. Parnas, "Concurrent control with readers and writers",
// CACM 14(10), 1971, problem 1.
#pragma once

#include "locks/reference/futex_rw_lock.h"

namespace hobbs {

template <class P>
class ReaderPreferringLock : public FutexRwLock<P, false> {
 public:
  static constexpr Claims claims{
      .fairness = Fairness::kReaderPreference, .pristine_when_free = true, .waits_asleep = true};
};

}  // namespace hobbs
