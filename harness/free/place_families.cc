// Where the workers and the lock are, and forks.
#include "harness/free/families.h"

namespace hobbs::gang {

/// The same bursts, placed so that one assumption about the workers' memory fails.
void add_places(Families& f) {
  const Claims& claims = f.lock().claims;
  const std::vector<std::string> texts = {
      "repeat=2: lock work unlock | lock work unlock | lock work unlock | lock work unlock",
      "lock work unlock | lock work unlock | try work unlock | lock work unlock"};
  const auto only_at = [](Family& family, Topology topology) {
    std::erase_if(family.topologies, [topology](Topology t) { return t != topology; });
  };
  Family& mixture =
      f.add("place/mixture", "ME-5,ME-1,ME-2", "two threads in each of two processes", texts);
  only_at(mixture, Topology::kMixed);
  mixture.means = {{"ME-1", "ME-5"}, {"ME-2", "ME-5"}};
  mixture.must_contend = f.lock().home == Home::kMemory;
  if (f.lock().home == Home::kMemory && claims.position_independent) {
    Family& addresses = f.add("place/addresses", "MM-5,ME-1,LV-1",
                              "fresh processes, in which the lock has different addresses", texts);
    only_at(addresses, Topology::kSpawn);
    addresses.must_contend = false;
    addresses.means = {{"ME-1", "MM-5"}, {"LV-1", "MM-5"}, {"LV-2", "MM-5"}};
  }
  // A lock of so many workers keeps something for each, and ends when all of them have ended.
  const bool destroyable = claims.destroyable && f.lock().home == Home::kMemory &&
                           claims.max_workers == kMaxWorkers && !f.lock().real.has_shared() &&
                           !claims.semaphore;
  if (!destroyable) return;
  Family& destroy = f.add("burst/destroy", "AB-5", "the last one out destroys the lock at once",
                          {"lock work unlock destroy | lock work unlock destroy",
                           "lock work unlock destroy | lock work unlock destroy | lock work unlock "
                           "destroy | lock work unlock destroy"});
  destroy.must_contend = false;
}

/// What is done at the first use of a lock is done in every round.
void add_first_uses(Families& f) {
  if (f.lock().home != Home::kMemory) return;
  Family& anew = f.add("place/anew", "ME-1,ME-2,RW-1,LV-1", "a new lock in every round",
                       {"lock work unlock | lock work unlock",
                        "lock work unlock | lock work unlock | lock work unlock | lock work unlock",
                        "lock work unlock | lock_shared work unlock | lock_shared work unlock"});
  anew.nemeses = {Nemesis::kFresh};
  anew.must_contend = false;
}

/// Ids that lie far apart: what has room for fewer, or keeps some of their bits, takes one worker
/// for another, or leaves its own memory.
void add_numbers(Families& f) {
  const std::string ends = "id_step=" + std::to_string(f.lock().claims.max_workers - 1) + ": ";
  Family& numbers = f.add(
      "place/numbers", "ME-1,ME-2,RW-1,LV-1", "workers with the smallest and largest ids",
      {ends + "lock work unlock | lock work unlock",
       "id_step=32: lock work unlock lock work unlock | lock work unlock",
       "id_step=16: lock work unlock | lock work unlock | lock work unlock | lock work unlock",
       ends + "lock work unlock | lock_shared work unlock",
       "id_step=32: lock work unlock | lock_shared work unlock"});
  numbers.must_contend = false;
  if (f.lock().claims.max_workers < 3) numbers.programs.clear();
}

void add_placement(Families& f) {
  const LockSpec& lock = f.lock();
  const Claims& claims = lock.claims;
  // On a path only what belongs to a process: an open file is its forked child's as well.
  const bool not_inherited = lock.home == Home::kMemory || claims.releaser == Releaser::kProcess;
  if (not_inherited && claims.process_shared && claims.fork == ForkBehaviour::kShared &&
      !claims.semaphore) {
    std::vector<std::string> texts = {"lock work unlock fork lock work unlock | lock work unlock",
                                      "fork fork lock work unlock lock work unlock"};
    if (claims.reentrant) {
      texts.insert(texts.begin(), "lock work fork try work unlock unlock | lock work unlock");
      texts.push_back("lock unlock lock fork lock work unlock unlock");
    }
    f.add("fork/inside", "FK-1,FK-4,RE-2,ME-1,ME-2,LV-1", "a worker forks, and both go on", texts)
        .must_contend = false;
  }
  // Where the mode of the fork matters: what its parent's other thread holds, the child does not.
  if (lock.home == Home::kMemory && claims.process_shared && claims.thread_shared &&
      claims.fork == ForkBehaviour::kShared && !claims.semaphore) {
    Family& beside =
        f.add("fork/beside", "FK-3,ME-1,LV-1", "a thread forks while another may hold the lock",
              {"fork lock work unlock | lock work(60us) unlock | lock work unlock",
               "fork lock work unlock lock work unlock | lock work(60us) unlock"});
    std::erase(beside.topologies, Topology::kFork);
    std::erase(beside.topologies, Topology::kMixed);
    beside.must_contend = false;
    beside.means = {{"ME-1", "FK-3"}, {"ME-2", "FK-3"}, {"LV-1", "FK-3"}, {"LV-2", "FK-3"}};
  }
  if (claims.process_shared && claims.fork == ForkBehaviour::kShared && !claims.semaphore) {
    Family& ends = f.add("fork/ends", "FK-2,ME-1", "a holder's child ends while the lock is held",
                         {"lock fork work(300us) unlock | lock work unlock | lock work unlock"});
    std::erase_if(ends.topologies, [](Topology t) { return t != Topology::kFork; });
    ends.must_contend = false;
    ends.means = {{"ME-1", "FK-2"}, {"ME-2", "FK-2"}};
  }
  // No tries: a child that stays may keep the lock for a moment, as the kernel's contract is.
  if (f.has_points() && claims.process_shared && claims.fork == ForkBehaviour::kShared) {
    Family& within = f.add("fork/within", "FK-6,ME-1,ME-2,LV-1", "forks in the midst of calls",
                           {"lock work unlock | lock work unlock | lock work unlock",
                            "lock work(200us) unlock | lock work unlock"});
    std::erase_if(within.topologies, [](Topology t) { return t != Topology::kFork; });
    within.nemeses = {Nemesis::kForks};
    within.must_contend = false;
    within.must_strike = true;
    within.unstruck = "its calls pass no point at which a fork could strike";
    within.weight = 3;
    within.means = {{"ME-1", "FK-6"}, {"ME-2", "FK-6"}, {"LV-1", "FK-6"}, {"LV-2", "FK-6"},
                    {"TR-2", "FK-6"}, {"RW-3", "FK-6"}, {"TO-3", "FK-6"}};
  }
  if (lock.home != Home::kPath) return;
  Family& exec = f.add("fork/exec", "FK-5,ME-1,LV-1", "a program is started while the lock is held",
                       {"lock exec work unlock | lock work unlock"});
  exec.nemeses = {Nemesis::kNone};
  exec.must_contend = false;
  if (claims.crash == CrashBehaviour::kReleasedBySystem || !claims.process_shared) return;
  Family& stale =
      f.add("burst/stale",
            claims.crash == CrashBehaviour::kStuck ? "ME-1,ME-2,ST-3" : "ME-1,ME-2,ST-3,CR-5",
            "its holder died before the workers came",
            {"lock work(1ms) unlock | lock work(1ms) unlock | lock work(1ms) unlock",
             "lock work unlock | lock work unlock | lock work unlock",
             "lock work unlock | try work unlock | try work unlock | try work unlock"});
  stale.nemeses = {Nemesis::kStale};
  stale.must_contend = false;
  stale.weight = 10;
}

}  // namespace hobbs::gang
