#include "harness/foreign/programs.h"

#include <algorithm>

namespace hobbs::foreign {
namespace {

using Steps = std::vector<Step>;

Steps sections(Verb verb, Mode mode, std::uint32_t times) {
  Steps all;
  for (std::uint32_t i = 0; i < times; ++i) {
    all.push_back({verb, mode, 0, 0});
    all.push_back({Verb::kRelease, Mode::kExclusive, 0, 0});
  }
  return all;
}

NamedProgram named(std::string name, std::string rules, std::vector<Steps> workers) {
  NamedProgram made;
  made.name = std::move(name);
  made.rules = std::move(rules);
  made.program.workers = std::move(workers);
  return made;
}

std::string exclusion_rules(const AgentLock& lock) {
  return (lock.claims.semaphore ? "ME-6" : "ME-1") + std::string(",LV-1,LV-2");
}

/// One worker takes all permits but one, before it asks for the last.
Steps all_permits(const AgentLock& lock) {
  const std::uint32_t permits = lock.claims.semaphore ? lock.claims.permits : 1;
  Steps steps(permits, {Verb::kAcquire, Mode::kExclusive, 0, 0});
  steps.resize(std::size_t{2} * permits, {Verb::kRelease, Mode::kExclusive, 0, 0});
  return steps;
}

NamedProgram plain(const AgentLock& lock, std::uint32_t workers, std::uint32_t acquisitions) {
  const Steps once = sections(Verb::kAcquire, Mode::kExclusive, acquisitions);
  return named(std::to_string(workers) + "x" + std::to_string(acquisitions), exclusion_rules(lock),
               std::vector<Steps>(workers, once));
}

NamedProgram with_death(NamedProgram program) {
  program.name += "-death";
  program.rules += ",CR-1,CR-5";
  program.death = true;
  return program;
}

}  // namespace

std::string unfit_for_processes(const AgentLock& lock) {
  if (lock.calls.empty()) return "no agent serves a lock of that name";
  if (!lock.claims.process_shared) return "the lock is for threads only: no two processes share it";
  if (!lock.forks) return "the lock cannot be used by forked processes";
  if (lock.find(Verb::kAcquire, Mode::kExclusive) == nullptr ||
      lock.find(Verb::kRelease, Mode::kExclusive) == nullptr) {
    return "the lock offers no exclusive acquire and release";
  }
  return "";
}

std::vector<NamedProgram> programs_for(const AgentLock& lock, std::uint32_t workers,
                                       std::uint32_t acquisitions, std::uint32_t kills) {
  std::vector<NamedProgram> list;
  if (!unfit_for_processes(lock).empty()) return list;
  const bool recovers = lock.claims.crash != CrashBehaviour::kStuck;
  const std::uint32_t most = std::min<std::uint32_t>(lock.claims.max_workers, kWorkersMax);
  const bool by_size = workers != 0 || acquisitions != 0;
  NamedProgram base =
      plain(lock, std::min(workers == 0 ? 2 : workers, most), std::max(1u, acquisitions));
  if (!by_size) base.program.workers[0] = all_permits(lock);
  if (kills > 0) {
    if (recovers) list.push_back(with_death(base));
    return list;
  }
  list.push_back(base);
  if (by_size) return list;
  const Steps write = sections(Verb::kAcquire, Mode::kExclusive, 1);
  if (lock.find(Verb::kTry, Mode::kExclusive) != nullptr) {
    list.push_back(named("try", "ME-3,TR-2," + exclusion_rules(lock),
                         {all_permits(lock), sections(Verb::kTry, Mode::kExclusive, 1)}));
  }
  if (lock.find(Verb::kAcquire, Mode::kShared) != nullptr) {
    const Steps read = sections(Verb::kAcquire, Mode::kShared, 1);
    list.push_back(named("read-write", "RW-1,LV-1,LV-2", {read, write}));
    list.push_back(named("readers", "RW-1,LV-1,LV-2", {read, read}));
  }
  if (recovers) list.push_back(with_death(base));
  return list;
}

}  // namespace hobbs::foreign
