#include "harness/free/programs.h"

#include <algorithm>

#include "harness/free/families.h"
#include "harness/free/spawn.h"
#include "harness/free/worker.h"

namespace hobbs::gang {
namespace {

bool offered(const LockOps& ops, const Step& step) {
  const bool shared = step.mode == Mode::kShared;
  switch (step.verb) {
    case Verb::kAcquire: return shared ? ops.acquire_shared != nullptr : ops.acquire != nullptr;
    case Verb::kTry: return shared ? ops.try_acquire_shared != nullptr : ops.try_acquire != nullptr;
    case Verb::kTimed:
      return shared ? ops.acquire_shared_until != nullptr : ops.acquire_until != nullptr;
    case Verb::kUpgrade: return ops.upgrade != nullptr;
    case Verb::kTryUpgrade: return ops.try_upgrade != nullptr;
    case Verb::kDowngrade: return ops.downgrade != nullptr;
    default: return true;
  }
}

/// Every meeting finds enough workers that come to one, and nobody has to meet himself.
bool meetings_are_met(const Program& program) {
  std::int64_t comers = 0, largest = 0;
  for (const auto& steps : program.workers) {
    std::int64_t meets = 0;
    for (const Step& step : steps) {
      if (step.verb != Verb::kMeet) continue;
      ++meets;
      largest = std::max(largest, step.amount);
    }
    if (meets > 1 || (meets > 0 && program.repeat > 1)) return false;
    comers += meets;
  }
  return largest == 0 || (comers % largest == 0 && comers >= largest);
}

}  // namespace

bool fits(const LockSpec& lock, const Program& program) {
  const std::size_t others = forks_of(program) + (program.faults.empty() ? 0 : 1);
  if (program.workers.empty() || program.workers.size() + others > lock.claims.max_workers ||
      last_platform_id(program) > lock.claims.max_workers) {
    return false;
  }
  if (forks_of(program) > 0 && program.repeat > 1) return false;
  if (deepest_nesting(program) > lock.claims.max_depth) return false;
  for (const Fault& fault : program.faults) {
    if (fault.worker >= program.workers.size() || program.first_id != 1) return false;
  }
  for (const auto& steps : program.workers) {
    for (const Step& step : steps) {
      if (!offered(lock.real, step)) return false;
    }
  }
  return meetings_are_met(program);
}

std::vector<Topology> topologies_of(const LockSpec& lock) {
  const Claims& claims = lock.claims;
  // Such locks do not tell the threads of a process apart.
  const bool per_process = claims.releaser == Releaser::kProcess && claims.reentrant;
  const bool threads = claims.thread_shared && !per_process;
  std::vector<Topology> topologies;
  if (claims.process_shared) topologies.push_back(Topology::kFork);
  if (threads) topologies.push_back(Topology::kThreads);
  // Fresh processes have the lock at addresses of their own.
  if (claims.process_shared && claims.position_independent && spawn_is_served()) {
    topologies.push_back(Topology::kSpawn);
  }
  if (claims.process_shared && threads) topologies.push_back(Topology::kMixed);
  return topologies;
}

std::vector<Family> families_of(const LockSpec& lock) {
  Families f(lock);
  const Claims& claims = lock.claims;
  const bool one_inside = !claims.semaphore || claims.permits == 1;
  if (one_inside) add_exclusion(f);
  if (one_inside) add_tries(f);
  if (one_inside) add_timed(f);
  add_wall_clock(f);
  if (claims.semaphore) add_permits(f, claims.permits);
  if (claims.crash != CrashBehaviour::kStuck && claims.process_shared) add_crashes(f);
  add_placement(f);
  add_interruptions(f);
  if (!one_inside) return f.take();
  add_misuse(f);
  if (claims.reentrant) add_nested(f);
  if (lock.real.has_shared()) {
    add_readers(f);
    add_conversions(f);
  }
  add_several(f);
  add_places(f);
  add_numbers(f);
  add_first_uses(f);
  add_long_holds(f);
  add_attacks(f);
  if (lock.home == Home::kMemory) add_wraps(f);  // On a path, so many pairs take seconds.
  return f.take();
}

}  // namespace hobbs::gang
