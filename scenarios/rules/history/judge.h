// The history checker: whether what was recorded can have been made by a lock that keeps its
// claims.
//
//     Judgement verdict = judge_history(history, spec.claims, {.home = spec.home});
//     if (verdict.illegal()) ... verdict.earliest.front() ...
//
// Pure. Near-linear from intervals wherever that is exact (owned_sweep.h); where it is not, an
// exact search with a budget, and what exceeds the budget is inconclusive, with the range named.
#pragma once

#include <cstdint>
#include <vector>

#include "locks/lock.h"
#include "scenarios/history.h"
#include "scenarios/rules/history/judgement.h"
#include "scenarios/rules/history/logged_call.h"

namespace hobbs {

struct JudgeOptions {
  Home home = Home::kMemory;
  /// Process of each worker, indexed by platform id; empty: each worker is a process of its own.
  std::vector<std::uint32_t> process_of;
  /// The most states that a search may visit before it gives up: a few seconds' worth.
  std::uint64_t search_budget = 3'000'000;
};

/// Judges each lock of the history. A platform id that is used again after its worker was killed
/// is a new worker. A worker's windows may overlap by the clock error; its calls are in the order
/// of their invocation.
Judgement judge_history(const History& history, const Claims& claims,
                        const JudgeOptions& options = {});

/// Judges one lock from per-worker logs, without a copy. `number` is its index in certificates.
Judgement judge_lock(const LockLogs& lock, const Claims& claims, const JudgeOptions& options = {},
                     std::uint8_t number = 0);

}  // namespace hobbs
