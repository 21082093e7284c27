// Abseil's Mutex. Its calls with a deadline acquire the lock also when they time out, so there is
// no timed acquire here.
#include <absl/synchronization/mutex.h>

#include "locks/adapters/adapters.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

class Mutex {
 public:
  void lock() { mutex_.Lock(); }
  bool try_lock() { return mutex_.TryLock(); }
  void unlock() { mutex_.Unlock(); }
  void lock_shared() { mutex_.ReaderLock(); }
  bool try_lock_shared() { return mutex_.ReaderTryLock(); }
  void unlock_shared() { mutex_.ReaderUnlock(); }

 private:
  absl::Mutex mutex_;
};

}  // namespace

Catalog abseil_locks() {
  return {adapters::threads_only(
      spec_of<Mutex>("absl.Mutex"), "absl::Mutex.", "Abseil 20220623, mutex.h",
      "Abseil queues waiters by the addresses of structures in the waiter's own memory, which "
      "another process cannot read")};
}

}  // namespace hobbs
