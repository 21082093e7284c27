// nsync's reader-writer mutex.
#include <nsync_cpp.h>
#include <nsync_mu.h>

#include "locks/adapters/adapters.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

class Mu {
 public:
  Mu() { nsync::nsync_mu_init(&mu_); }
  void lock() { nsync::nsync_mu_lock(&mu_); }
  bool try_lock() { return nsync::nsync_mu_trylock(&mu_) != 0; }
  void unlock() { nsync::nsync_mu_unlock(&mu_); }
  void lock_shared() { nsync::nsync_mu_rlock(&mu_); }
  bool try_lock_shared() { return nsync::nsync_mu_rtrylock(&mu_) != 0; }
  void unlock_shared() { nsync::nsync_mu_runlock(&mu_); }

 private:
  nsync::nsync_mu mu_;
};

}  // namespace

Catalog nsync_locks() {
  return {adapters::threads_only(
      spec_of<Mu>("nsync.mu"), "nsync_mu.", "nsync 1.25, nsync_mu.h",
      "nsync queues waiters by the addresses of structures in the waiter's own memory, which "
      "another process cannot read")};
}

}  // namespace hobbs
