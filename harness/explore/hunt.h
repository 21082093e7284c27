// Looking for a broken rule in one program, and making what was found small.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "harness/explore/explorer.h"

namespace hobbs::explore {

/// A program under one memory model, and how it broke.
struct Catch {
  Program program;
  MemoryModel model = MemoryModel::kSc;
  Topology topology = Topology::kFork;
  Broken broken;
  Schedule schedule;
  int preemptions = 0;
  std::uint64_t executions = 0;  // Until the first one broke.
};

/// What a stretch of executions of one program came to.
struct Stretch {
  std::uint64_t executions = 0;
  std::uint64_t cut = 0;   // Ended by the step limit.
  bool exhausted = false;  // The strategy has nothing left.
  std::string refused;     // The lock does what cannot be modelled.
  std::string unsettled;   // Why it is not known how one of them would have gone on.
  std::optional<Catch> caught;
};

using Clock = std::chrono::steady_clock;

/// Runs up to `executions` of the loaded program, until the strategy has no more, something breaks,
/// or it is `until`. `explorer` must have loaded `program`.
Stretch hunt(Explorer& explorer, const Program& program, MemoryModel model, Topology topology,
             Strategy& strategy, std::uint64_t executions, Clock::time_point until);

/// A smaller program that breaks the same rule, with as few preemptions as are found by `until`.
Catch shrink(const LockSpec& lock, const Catch& found, std::uint64_t seed, Clock::time_point until);

/// Runs the schedule again, and says how that ended: kRefused if it cannot be followed. `events`
/// receives what happens, and then `statics` looks on.
Ending run_again(const LockSpec& lock, const Catch& found, std::vector<Event>* events,
                 std::unique_ptr<Explorer>* explorer = nullptr, Watch* watch = nullptr);
/// Whether it breaks the same rule.
bool happens_again(const LockSpec& lock, const Catch& found, std::vector<Event>* events,
                   std::unique_ptr<Explorer>* explorer = nullptr, Watch* watch = nullptr);

}  // namespace hobbs::explore
