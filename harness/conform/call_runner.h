// Runs one sequence of calls on an agent's lock, and judges each step.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/conform/world.h"
#include "reports/result.h"
#include "scenarios/calls/agent_lock.h"
#include "scenarios/calls/calls.h"

namespace hobbs {

struct CallSetting {
  const AgentLock* lock = nullptr;
  std::string agent;                 // cpp, python, exec: whose known hazards are left out.
  std::vector<std::string> command;  // Starts an agent; the path of a socket is appended.
  std::string parent_directory;      // For private directories; empty: /tmp.
  const Canary* canary = nullptr;
  Patience patience;
  bool drain = true;  // After the moves, release what is held until nobody waits.
  // Moves not made by then are left out, the drain too: what was seen is judged all the same.
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};

/// What became of a sequence.
struct CallRun {
  Verdict verdict = Verdict::kPass;
  std::string rule;      // A fail: what was broken ...
  std::string sentence;  // ... and how; inconclusive or skipped: why.
  Moves made;            // What was really done, the drain included, up to the breach.
  std::vector<Moment> moments;
  std::vector<std::string> evidence;
  std::uint64_t calls = 0;
  std::uint64_t waits = 0;  // Calls that did not return at once.
};

/// Never throws for what an agent or the system does. `world` is where it runs: made if there is
/// none, and ended if it is of no further use. Not thread-safe.
CallRun run_calls(const Moves& moves, const CallSetting& setting, std::unique_ptr<World>& world);

}  // namespace hobbs
