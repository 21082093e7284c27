// Looks for a sequence of calls that an agent's lock answers wrongly, and makes it small.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/conform/call_runner.h"
#include "reports/result.h"
#include "scenarios/calls/generate.h"

namespace hobbs {

struct CallHunt {
  CallSetting setting;                   // Its lock and how to start the agent.
  std::string agent = "cpp";             // As find_agent() takes it; told in the replay.
  std::uint64_t seed = 1;                // All that is drawn follows from it.
  std::uint64_t sequences = UINT64_MAX;  // At most so many of each topology.
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
  bool stop_at_first_finding = true;
  std::function<void(std::string_view)> progress = [](std::string_view) {};
  std::function<void(const Result&)> found = [](const Result&) {};
};

/// The rules that sequences of calls can show to be broken, for this lock.
std::string rules_of_calls(const AgentLock& lock);

/// One result for each topology that fits the lock. A failure is made again before it counts, then
/// shrunk, then run a few times more to tell its rate.
std::vector<Result> hunt_calls(const CallHunt& hunt);

/// Runs exactly these moves `times` times: how often they failed, and the last failure.
struct CallRepeats {
  std::uint64_t failed = 0;
  std::uint64_t of = 0;
  CallRun run;  // The last that failed, or else the last.
};
CallRepeats repeat_calls(const Moves& moves, CallSetting setting, std::uint64_t times);

/// What a failing run is, as a result with its replay.
Result result_of_calls(const CallHunt& hunt, std::string_view topology, const CallRepeats& repeats);

}  // namespace hobbs
