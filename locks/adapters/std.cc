// The C++ standard library's mutexes, as libstdc++ has them.
//
// The standard lets try_lock() fail on a free lock, promises no order, and is silent about other
// processes. libstdc++ builds on process-private glibc mutexes: their futex waits are keyed by the
// address space, so a waiter in another process is never woken.
#include <mutex>
#include <shared_mutex>

#include "locks/adapters/adapters.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

constexpr const char* kPrivateFutex =
    "libstdc++ makes it process-private: its futex waits are keyed by the address space, so a "
    "release in one process does not wake a waiter in another";

template <class Mutex>
LockSpec entry(const char* name, const char* summary, const char* clause, Claims claims = {}) {
  claims.spurious_try_failure = true;
  return adapters::threads_only(spec_of<Mutex>(name, claims), summary, clause, kPrivateFutex);
}

}  // namespace

Catalog std_locks() {
  const Claims reentrant{.reentrant = true};
  return {
      entry<std::mutex>("std.mutex", "std::mutex.", "C++20 [thread.mutex.class]"),
      entry<std::timed_mutex>("std.timed_mutex", "std::timed_mutex.",
                              "C++20 [thread.timedmutex.class]"),
      entry<std::recursive_mutex>("std.recursive_mutex", "std::recursive_mutex.",
                                  "C++20 [thread.mutex.recursive]", reentrant),
      entry<std::recursive_timed_mutex>("std.recursive_timed_mutex", "std::recursive_timed_mutex.",
                                        "C++20 [thread.timedmutex.recursive]", reentrant),
      entry<std::shared_mutex>("std.shared_mutex", "std::shared_mutex.",
                               "C++20 [thread.sharedmutex.class]"),
      entry<std::shared_timed_mutex>("std.shared_timed_mutex", "std::shared_timed_mutex.",
                                     "C++20 [thread.sharedtimedmutex.class]"),
  };
}

}  // namespace hobbs
