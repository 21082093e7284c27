// oneTBB's mutexes.
//
// The spinning ones are plain words and work wherever their memory is shared. The queuing ones
// link the waiters' scoped_locks by address: these stand here in the lock's own memory, one a
// worker, so it must be mapped at one address everywhere. mutex and rw_mutex sleep in a table of
// the process.
#include <oneapi/tbb/mutex.h>
#include <oneapi/tbb/queuing_mutex.h>
#include <oneapi/tbb/queuing_rw_mutex.h>
#include <oneapi/tbb/rw_mutex.h>
#include <oneapi/tbb/spin_mutex.h>
#include <oneapi/tbb/spin_rw_mutex.h>

#include <type_traits>

#include "locks/adapters/adapters.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

/// A mutex that is only to be had through its scoped_lock.
template <class Mutex>
class Scoped {
 public:
  void lock() { mine().acquire(mutex_); }
  bool try_lock() { return mine().try_acquire(mutex_); }
  void unlock() { mine().release(); }

 protected:
  using Node = typename Mutex::scoped_lock;
  Node& mine() { return nodes_[RealPlatform::self()]; }

  Mutex mutex_;
  Node nodes_[kMaxWorkers + 1];
};

/// Its try for readers succeeds only if nobody at all is in the queue, readers included: that is
/// not what a shared try means, and so is not offered. Its upgrade may let others in between.
class QueuingRw : public Scoped<tbb::queuing_rw_mutex> {
 public:
  void lock_shared() { mine().acquire(mutex_, false); }
  void unlock_shared() { mine().release(); }
  void downgrade() { mine().downgrade_to_reader(); }
};

/// Without transactional memory in the compiler's target this is the plain spin mutex.
template <class Mutex>
LockSpec speculative(const char* name) {
  if constexpr (requires(Mutex & mutex) { mutex.lock(); }) {
    return spec_of<Mutex>(name);
  } else {
    return spec_of<Scoped<Mutex>>(name);
  }
}

constexpr const char* kAddressTable =
    "oneTBB parks waiters in a table of the process (wait_on_address): a release in one process "
    "does not wake a waiter in another";

}  // namespace

Catalog tbb_locks() {
  constexpr const char* kSource = "oneTBB specification 1.1, Mutex classes";
  const Claims queuing{.fairness = Fairness::kFifo, .position_independent = false};
  using adapters::peer, adapters::threads_only;
  return {
      peer(spec_of<tbb::spin_mutex>("tbb.spin_mutex"), "spin_mutex.", kSource),
      peer(speculative<tbb::speculative_spin_mutex>("tbb.speculative_spin_mutex"),
           "speculative_spin_mutex: spins, or elides itself in a hardware transaction.", kSource),
      peer(spec_of<Scoped<tbb::queuing_mutex>>("tbb.queuing_mutex", queuing), "queuing_mutex.",
           kSource),
      peer(spec_of<tbb::spin_rw_mutex>("tbb.spin_rw_mutex"), "spin_rw_mutex.", kSource),
      peer(spec_of<QueuingRw>("tbb.queuing_rw_mutex", queuing), "queuing_rw_mutex.", kSource),
      threads_only(spec_of<tbb::mutex>("tbb.mutex"), "mutex: spins, then sleeps.", kSource,
                   kAddressTable),
      threads_only(spec_of<tbb::rw_mutex>("tbb.rw_mutex"), "rw_mutex: spins, then sleeps.", kSource,
                   kAddressTable),
  };
}

}  // namespace hobbs
