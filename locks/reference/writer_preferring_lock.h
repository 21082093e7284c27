// Writer-preferring readers-writer lock: a reader waits for every writer that is inside or waits.
// State table and memory orders: futex_rw_lock.h.
//
//   state                      shared acquire    exclusive acquire
//   free                       enters            enters
//   r readers                  enters            waits, and is counted
//   r readers, w waiting       waits             waits, and is counted
//   W                          waits             waits, and is counted
//
// Claims: writer preference, so writers that follow each other for ever starve readers; a writer
// that times out lets the readers in that waited for it; upgrade, try_upgrade and downgrade are
// atomic; zero bytes when free.
// Source: P. Courtois, F. Heymans and D. Parnas, "Concurrent control with readers and writers",
// CACM 14(10), 1971, problem 2.
#pragma once

#include "locks/reference/futex_rw_lock.h"

namespace hobbs {

template <class P>
class WriterPreferringLock : public FutexRwLock<P, true> {
 public:
  static constexpr Claims claims{
      .fairness = Fairness::kWriterPreference, .pristine_when_free = true, .waits_asleep = true};
};

}  // namespace hobbs
