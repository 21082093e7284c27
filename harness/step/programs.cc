#include "harness/step/programs.h"

#include <algorithm>

#include "harness/step/state.h"

namespace hobbs::step {
namespace {

using Steps = std::vector<hobbs::Step>;

Steps section(Verb verb, Mode mode = Mode::kExclusive) {
  return {{verb, mode, 0, 0}, {Verb::kRelease, Mode::kExclusive, 0, 0}};
}

Steps repeated(const Steps& once, unsigned times) {
  Steps all;
  for (unsigned i = 0; i < times; ++i) all.insert(all.end(), once.begin(), once.end());
  return all;
}

NamedProgram program(std::string name, std::vector<Steps> workers, unsigned kills = 0) {
  NamedProgram made;
  made.name = std::move(name);
  made.program.workers = std::move(workers);
  made.kills = kills;
  return made;
}

bool claims_recovery(const Claims& claims) { return claims.crash != CrashBehaviour::kStuck; }

}  // namespace

std::vector<NamedProgram> step_programs(const LockSpec& lock, unsigned workers,
                                        unsigned acquisitions, unsigned kills) {
  const LockOps& ops = lock.real;
  const Steps once = section(Verb::kAcquire);
  std::vector<NamedProgram> list;
  if (workers != 0 || acquisitions != 0) {
    workers = std::clamp<unsigned>(workers == 0 ? 2 : workers, 1, kMaxStepWorkers);
    acquisitions = std::max(1u, acquisitions);
    const std::string deaths = kills == 0 ? "" : kills == 1 ? "-death" : "-deaths";
    list.push_back(program(std::to_string(workers) + "x" + std::to_string(acquisitions) + deaths,
                           std::vector<Steps>(workers, repeated(once, acquisitions)), kills));
    return list;
  }
  const Claims& claims = lock.claims;
  if (kills != 0) {
    list.push_back(program("2x1-death", {once, once}, kills));
    list.push_back(program("3x1-death", {once, once, once}, kills));
    return list;
  }
  list.push_back(program("2x1", {once, once}));
  if (ops.try_acquire != nullptr) {
    list.push_back(program("try", {once, section(Verb::kTry)}));
  }
  if (ops.acquire_until != nullptr) {
    list.push_back(program("timed", {once, section(Verb::kTimed)}));
  }
  const Steps read = section(Verb::kAcquire, Mode::kShared);
  if (ops.has_shared()) {
    list.push_back(program("writer-reader", {once, read}));
    list.push_back(program("writer-2readers", {once, read, read}));
    list.push_back(program("2writers-reader", {once, once, read}));
  }
  if (ops.try_upgrade != nullptr) {
    const Steps upgrade{read[0], {Verb::kTryUpgrade, Mode::kExclusive, 0, 0}, read[1]};
    list.push_back(program("upgrade", {upgrade, upgrade}));
  }
  if (ops.downgrade != nullptr && ops.has_shared()) {
    const Steps downgrade{once[0], {Verb::kDowngrade, Mode::kShared, 0, 0}, once[1]};
    list.push_back(program("downgrade", {downgrade, read, once}));
  }
  if (claims.reentrant) {
    list.push_back(program("nested", {{once[0], once[0], once[1], once[1]}, once}));
  }
  if (claims_recovery(claims)) list.push_back(program("2x1-death", {once, once}, 1));
  list.push_back(program("2x1-signal", {once, once}));
  list.back().signals = 1;
  list.push_back(program("2x2", {repeated(once, 2), repeated(once, 2)}));
  list.push_back(program("3x1", {once, once, once}));
  if (ops.try_acquire != nullptr) {
    list.push_back(program("try-among-2", {once, section(Verb::kTry), once}));
  }
  if (ops.acquire_until != nullptr) {
    list.push_back(program("timed-among-2", {once, section(Verb::kTimed), once}));
  }
  if (ops.acquire_until != nullptr && ops.has_shared()) {
    list.push_back(program("timed-writer", {read, section(Verb::kTimed), once, read}));
    list.back().on_demand = true;
  }
  // Two permits are only fought for by more than two.
  if (claims.semaphore && claims.permits == 2) {
    list.push_back(program("4x1", {once, once, once, once}));
  }
  if (claims_recovery(claims)) {
    const Steps twice = repeated(once, 2);
    list.push_back(program("3x1-death", {once, once, once}, 1));
    list.push_back(program("3x2-death", {twice, twice, twice}, 1));
  }
  std::erase_if(list, [&claims](const NamedProgram& p) {
    return p.program.workers.size() > claims.max_workers;
  });
  return list;
}

}  // namespace hobbs::step
