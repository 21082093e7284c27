// Locks of another program, measured by its agent: it runs the rounds in its own processes and its
// own language (locks/agents/README.md) and says what its workers did.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/bench/measure.h"
#include "harness/bench/round.h"
#include "harness/conform/agent_command.h"
#include "harness/conform/world.h"

namespace hobbs::bench {

/// A kind of lock that the agent serves, and what of a workload it refuses, with the reason:
/// "all", "processes", "threads", "shared", "try", "timed", "ping_pong".
struct AgentLock {
  std::string kind;
  std::map<std::string, std::string> refuses;
};

/// Why the agent's lock cannot be measured by this workload; empty if it can.
std::string refusal(const AgentLock& lock, const Workload& workload);

/// Reads a round's result as the agent's JSON has it. Throws AgentFault for anything else.
void read_round(const std::string& json, const Workload& workload, RoundSum& into);

/// One agent, which is started when it is first needed, and anew after it failed.
class AgentBench {
 public:
  /// Files go below `directory`. The agent ends with this, or with the process. `patience`: for
  /// workers to begin, and for the last call of a round to come back.
  AgentBench(AgentCommand command, std::string directory,
             std::chrono::nanoseconds patience = std::chrono::seconds(15));

  /// Asks the agent for its locks. Returns empty, or why it is no agent, in one sentence. One that
  /// is none, or does not measure, has all the seeds' locks, refused with the reason.
  std::string start();

  const std::vector<AgentLock>& locks() const { return locks_; }

  /// The name of a lock in the table: "python:mp.Lock".
  std::string row_of(const AgentLock& lock) const { return command_.name + ":" + lock.kind; }

  /// The agent's locks as rows of the table; this must outlive them.
  std::vector<Subject> subjects();

  Measurement measure(const AgentLock& lock, const Workload& workload,
                      std::chrono::nanoseconds round, bool latency);

  /// The loop in the agent's language around a lock that does nothing, as facts for the JSON's
  /// context; none if it does not measure.
  std::vector<std::pair<std::string, std::string>> overhead();

 private:
  /// One request; throws AgentFault or std::system_error, after which the agent is started anew.
  CallReply ask(const std::string& object, std::chrono::nanoseconds patience);
  std::string run(const AgentLock& lock, const Workload& workload, std::chrono::nanoseconds round,
                  Probe probe, double gap_ns, RoundSum& into);
  /// Asks for the kinds, and throws as ask() does.
  void learn_locks();

  AgentCommand command_;
  std::string directory_;
  const std::chrono::nanoseconds patience_;
  std::uint64_t paths_ = 0;
  std::unique_ptr<World> world_;
  std::vector<AgentLock> locks_;
  bool measures_ = false;
};

}  // namespace hobbs::bench
