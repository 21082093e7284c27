// Searches the executions of one program on an agent's lock: all with few preemptions, in order.
//
// What breaks a rule is played twice more, each time by fresh processes, before it counts.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "harness/foreign/breakage.h"
#include "harness/foreign/execution.h"
#include "harness/foreign/programs.h"
#include "harness/foreign/stage.h"

namespace hobbs::foreign {

struct SearchOptions {
  int preemptions = 2;
  bool memory = true;
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

/// A way to break a rule.
struct Found {
  Program program;  // The death included.
  explore::Schedule schedule;
  int preemptions = 0;
  Breakage breakage;
  std::vector<Moment> story;
  std::uint64_t again = 0;  // How often it recurred ...
  std::uint64_t of = 0;     // ... of how many repetitions.
};

struct SearchReport {
  enum class End : std::uint8_t {
    kComplete,   // All executions within the bound, and none broke a rule.
    kFound,      // `found`.
    kLimit,      // The time ended.
    kUndecided,  // Some executions could not be judged: `reason`, of the last.
    kNoStage,    // `no_stage`.
  } end = End::kComplete;
  std::optional<Found> found;
  std::optional<NoStage> no_stage;
  std::string reason;
  std::string done;  // What was covered, as a clause.
  std::uint64_t executions = 0;
  std::uint64_t points = 0;  // Places in code at which somebody was held.
};

SearchReport search(const StageSetting& setting, const NamedProgram& program,
                    const SearchOptions& options);

/// Plays this schedule on fresh processes, and tells its story.
struct Replayed {
  std::optional<Breakage> breakage;
  std::string undecided;
  std::vector<Moment> story;
};
Replayed replay(const StageSetting& setting, const Program& program,
                const explore::Schedule& schedule, bool memory);

}  // namespace hobbs::foreign
