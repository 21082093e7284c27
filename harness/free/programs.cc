#include "harness/free/programs.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

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

class Families {
 public:
  explicit Families(const LockSpec& lock) : lock_(lock), topologies_(topologies_of(lock)) {}

  Family& add(std::string name, std::string rules, std::string about,
              std::initializer_list<std::string_view> texts) {
    Family family{std::move(name), std::move(rules), std::move(about), {}, topologies_, {}, true};
    family.nemeses = {Nemesis::Kind::kNone, Nemesis::Kind::kChurn};
    if (lock_.hooked.available()) {
      family.nemeses.push_back(Nemesis::Kind::kYields);
      family.nemeses.push_back(Nemesis::Kind::kDelays);
    }
    for (const std::string_view text : texts) {
      ParseResult parsed = parse_program(text);
      if (!parsed.error.empty()) std::abort();  // The texts are ours.
      if (fits(lock_, parsed.program)) family.programs.push_back(std::move(parsed.program));
    }
    families_.push_back(std::move(family));
    return families_.back();
  }
  std::vector<Family> take() {
    std::erase_if(families_, [](const Family& family) { return family.programs.empty(); });
    return std::move(families_);
  }

 private:
  const LockSpec& lock_;
  std::vector<Topology> topologies_;
  std::vector<Family> families_;
};

void add_exclusion(Families& f) {
  f.add("burst/exclusion", "ME-1,ME-2,LV-1,LV-2", "short bursts of sections, then all outside",
        {"lock work unlock | lock work unlock | lock work unlock | lock work unlock",
         "repeat=3: lock work unlock | lock work unlock | lock work unlock",
         "repeat=3: lock work unlock | lock work unlock",
         "first_id=2: lock work unlock lock work unlock | lock work unlock",
         "repeat=2: lock work unlock | lock work unlock | lock work unlock | lock work unlock | "
         "lock work unlock | lock work unlock",
         "lock work(30us) unlock | lock work(30us) unlock | lock work(30us) unlock"});
}

void add_tries(Families& f) {
  f.add("burst/try", "ME-1,ME-2,ME-3,ME-4,TR-1,TR-2,TR-3,TR-4,LV-1", "tries among plain sections",
        {"lock work unlock | try work unlock | lock work unlock | try work unlock",
         "repeat=2: lock work unlock | lock work unlock | try work unlock",
         "repeat=2: try work unlock | try work unlock | try work unlock",
         "repeat=2: try work unlock lock work unlock | lock work unlock try work unlock | lock "
         "work unlock"});
}

void add_timed(Families& f) {
  f.add("burst/timed", "ME-1,ME-2,ME-3,ME-4,TO-1,TO-3,TO-5,TO-10,LV-1",
        "timed calls that run out about when the lock is passed on",
        {"lock work(30us) unlock | timed(40us) work unlock | lock work unlock | timed(60us) work "
         "unlock",
         "lock work(100us) unlock | timed(100us) work unlock | lock work unlock",
         "lock work(60us) unlock | timed(60us) work unlock | timed(90us) work unlock | lock work "
         "unlock",
         "repeat=2: timed(100us) work unlock | lock work(50us) unlock | timed(5ms) work unlock",
         "timed(200us) unlock lock work unlock | lock work(200us) unlock | lock work unlock"});
}

void add_readers(Families& f) {
  f.add("burst/readers", "RW-1,RW-2,RW-3,ME-1,ME-2,LV-1,LV-2", "readers and writers",
        {"lock work unlock | lock_shared work unlock | lock_shared work unlock | lock work unlock",
         "repeat=2: lock work unlock | lock_shared work unlock",
         "repeat=2: lock work unlock | lock_shared work unlock | lock_shared work unlock",
         "lock_shared meet(2) work unlock | lock_shared meet(2) work unlock",
         "lock_shared meet(3) work unlock | lock_shared meet(3) work unlock | lock_shared meet(3) "
         "work unlock",
         "lock work unlock lock_shared work unlock | lock_shared work unlock lock work unlock",
         "lock work unlock | lock work unlock | lock_shared work unlock | lock_shared work unlock "
         "| lock_shared work unlock"});
  f.add("burst/readers-try", "RW-1,RW-3,ME-2,TR-2,TR-3,TR-4,LV-1", "readers, writers and tries",
        {"lock work unlock | try_shared work unlock | try work unlock | lock_shared work unlock",
         "repeat=2: lock_shared work unlock | lock work unlock | try work unlock",
         "repeat=2: lock work unlock | lock_shared work unlock | try_shared work unlock",
         "lock_shared work unlock | lock work unlock | try work unlock | lock_shared work unlock | "
         "lock work unlock"});
  f.add("burst/readers-timed", "RW-1,RW-3,ME-2,TO-1,TO-3,TO-5,LV-1",
        "readers, writers and timed calls",
        {"lock_shared work(100us) unlock | timed(60us) work unlock | lock_shared work unlock",
         "lock_shared meet(2) unlock | timed(100us) work unlock | lock_shared meet(2) unlock",
         "lock work(60us) unlock | timed_shared(60us) work unlock | lock work unlock",
         "lock_shared work(60us) unlock | timed(50us) work unlock | lock_shared work unlock | lock "
         "work unlock"});
}

void add_conversions(Families& f) {
  f.add("burst/conversions", "RW-1,RW-4,RW-5,RW-6,RW-7,ME-2,LV-1", "upgrades and downgrades",
        {"lock_shared work try_upgrade work unlock | lock_shared try_upgrade work unlock | lock "
         "work unlock",
         "lock_shared work upgrade work unlock | lock_shared work unlock | lock work unlock",
         "lock_shared upgrade work unlock | lock_shared upgrade work unlock",
         "lock work downgrade work unlock | lock work unlock | lock_shared work unlock"});
}

void add_nested(Families& f) {
  f.add("burst/nested", "RE-1,RE-2,RE-5,ME-1,ME-2,LV-1", "nested sections of a re-entrant lock",
        {"lock lock work unlock work unlock | lock work unlock | lock lock work unlock unlock",
         "repeat=2: lock try work unlock work unlock | lock work unlock",
         "lock try timed(1ms) unlock work unlock unlock | try work unlock | lock work unlock",
         "lock(300) work unlock | try work unlock",
         "lock lock unlock work unlock | try work unlock | try work unlock"});
}

void add_permits(Families& f, std::uint32_t permits) {
  const std::string meet = "lock meet(" + std::to_string(permits) + ") work unlock";
  std::string crowd = "lock work unlock", together = meet, waves = meet;
  for (std::uint32_t i = 1; i < permits + 2; ++i) crowd += " | lock work unlock";
  for (std::uint32_t i = 1; i < permits; ++i) together += " | " + meet;
  for (std::uint32_t i = 1; i < 2 * permits; ++i) waves += " | " + meet;
  f.add("burst/permits", "ME-6,TR-2,TO-3,LV-1", "holders of a semaphore's permits",
        {crowd, "repeat=3: " + crowd, together, waves, crowd + " | try work unlock",
         crowd + " | timed(60us) work unlock"});
}

void add_several(Families& f) {
  f.add("burst/several", "ME-1,ME-2,ME-9,LV-1,LV-7", "several locks, taken in one order",
        {"lock work lock#1 work unlock unlock | lock work lock#1 work unlock unlock | lock#1 work "
         "unlock lock work unlock"});
}

}  // namespace

bool fits(const LockSpec& lock, const Program& program) {
  if (program.workers.empty() || program.workers.size() > lock.claims.max_workers) return false;
  for (const auto& steps : program.workers) {
    for (const Step& step : steps) {
      if (!offered(lock.real, step)) return false;
      if (step.verb == Verb::kAcquire && step.amount > lock.claims.max_depth) return false;
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
  if (claims.process_shared && threads) topologies.push_back(Topology::kMixed);
  return topologies;
}

std::vector<Family> families_of(const LockSpec& lock) {
  Families f(lock);
  const Claims& claims = lock.claims;
  if (claims.semaphore && claims.permits > 1) {
    add_permits(f, claims.permits);
    return f.take();
  }
  add_exclusion(f);
  add_tries(f);
  add_timed(f);
  if (claims.reentrant) add_nested(f);
  if (lock.real.has_shared()) {
    add_readers(f);
    // Of locks on files, conversions are not promised to be atomic.
    if (lock.home == Home::kMemory) add_conversions(f);
  }
  add_several(f);
  return f.take();
}

}  // namespace hobbs::gang
