// Concurrency Kit's spin locks and readers-writer locks.
//
// All are words in shared memory; those of queues and lists hold addresses, so their memory must
// be mapped at one address everywhere. Which can try is told by the library's headers.
#include "locks/adapters/adapters.h"
#include "locks/adapters/ck_calls.h"
#include "locks/platform.h"
#include "locks/real_platform.h"

namespace hobbs {
namespace {

static_assert(kHobbsCkWorkers == kMaxWorkers);

using Calls = hobbs_ck_calls;

template <const Calls& calls, void (*Calls::*member)(void*, unsigned), Outcome done>
Outcome call(void* lock) {
  (calls.*member)(lock, RealPlatform::self());
  return done;
}
template <const Calls& calls, bool (*Calls::*member)(void*, unsigned)>
Outcome attempt(void* lock) {
  return (calls.*member)(lock, RealPlatform::self()) ? Outcome::kAcquired : Outcome::kBusy;
}

template <const Calls& calls>
LockSpec entry(const char* name, const char* summary, const char* page, Claims claims) {
  LockSpec spec;
  spec.name = name;
  spec.claims = claims;
  LockOps& ops = spec.real;
  ops.size = calls.size;
  ops.align = 64;
  ops.construct = [](void* lock, const char*) { calls.construct(lock); };
  ops.destroy = [](void*) {};
  ops.acquire = call<calls, &Calls::lock, Outcome::kAcquired>;
  ops.release = call<calls, &Calls::unlock, Outcome::kReleased>;
  if (calls.try_lock != nullptr) ops.try_acquire = attempt<calls, &Calls::try_lock>;
  if (calls.lock_shared != nullptr) {
    ops.acquire_shared = call<calls, &Calls::lock_shared, Outcome::kAcquired>;
    ops.release_shared = call<calls, &Calls::unlock_shared, Outcome::kReleased>;
  }
  if (calls.try_lock_shared != nullptr) {
    ops.try_acquire_shared = attempt<calls, &Calls::try_lock_shared>;
  }
  if (calls.downgrade != nullptr) {
    ops.downgrade = call<calls, &Calls::downgrade, Outcome::kReleased>;
  }
  return adapters::peer(std::move(spec), summary, page);
}

}  // namespace

Catalog ck_locks() {
  constexpr const char* kSpinlock = "ck_spinlock(3)";
  const Claims fifo{.fairness = Fairness::kFifo};
  const Claims queue{.fairness = Fairness::kFifo, .position_independent = false};
  const Claims phase_fair{.fairness = Fairness::kPhaseFair};
  const Claims big_reader{.max_workers = kHobbsCkBigReaders, .position_independent = false};
  return {
      entry<hobbs_ck_fas>("ck.fas", "Fetch-and-store spin lock.", kSpinlock, {}),
      entry<hobbs_ck_cas>("ck.cas", "Compare-and-swap spin lock.", kSpinlock, {}),
      entry<hobbs_ck_dec>("ck.dec", "Decrementing spin lock.", kSpinlock, {}),
      entry<hobbs_ck_ticket>("ck.ticket", "Ticket lock.", kSpinlock, fifo),
      entry<hobbs_ck_mcs>("ck.mcs", "MCS queue lock.", kSpinlock, queue),
      entry<hobbs_ck_clh>("ck.clh", "CLH queue lock.", kSpinlock, queue),
      entry<hobbs_ck_anderson>("ck.anderson", "Anderson's array lock.", kSpinlock, queue),
      entry<hobbs_ck_rwlock>("ck.rwlock", "Centralised readers-writer lock.", "ck_rwlock(3)", {}),
      entry<hobbs_ck_pflock>("ck.pflock", "Phase-fair readers-writer lock.", "ck_pflock(3)",
                             phase_fair),
      entry<hobbs_ck_tflock>("ck.tflock", "Task-fair readers-writer lock.", "ck_tflock(3)", fifo),
      entry<hobbs_ck_bytelock>("ck.bytelock", "Readers-writer lock with a byte for each reader.",
                               "ck_bytelock(3)", {}),
      entry<hobbs_ck_brlock>("ck.brlock", "Big-reader lock: each reader writes its own line.",
                             "ck_brlock(3)", big_reader),
  };
}

}  // namespace hobbs
