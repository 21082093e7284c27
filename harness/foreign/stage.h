// What an execution needs before it starts: an agent, its lock, and a process for each worker.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "harness/conform/world.h"
#include "reports/result.h"
#include "scenarios/calls/agent_lock.h"
#include "scenarios/cases/arguments.h"

namespace hobbs::foreign {

struct StageSetting {
  const AgentLock* lock = nullptr;
  std::vector<std::string> command;  // Starts an agent; the path of a socket is appended.
  std::string parent_directory;
  const Canary* canary = nullptr;
  Patience patience;
};

/// The lock cannot be had: kSkipped or kInconclusive, and why.
struct NoStage {
  Verdict verdict;
  std::string reason;
};

/// One agent, and `workers` processes forked from it that share one lock, which is free. Throws
/// NoStage, and what World throws.
class Stage {
 public:
  Stage(const StageSetting& setting, std::size_t workers);

  /// Makes it ready for another execution. `clean`: the last one left the lock free and everybody
  /// idle; else the lock and the processes are made anew.
  void renew(bool clean);

  World& world() { return world_; }
  /// The name of a worker's process.
  const std::string& process(std::size_t worker) const { return processes_[worker]; }
  pid_t id_of(std::size_t worker) { return world_.id_of(processes_[worker]); }
  /// Sends a call of the worker's. The lock offers it.
  PendingCall call(std::size_t worker, Verb verb, Mode mode);

 private:
  std::string object_of(std::size_t worker) const;
  void make_processes();
  void make_objects();
  void make_object(const Actor& actor, const std::string& name);

  const AgentLock& lock_;
  World world_;
  CaseVariables variables_;
  std::vector<std::string> processes_;
  std::uint64_t runs_ = 0;
};

}  // namespace hobbs::foreign
