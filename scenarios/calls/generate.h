// Sequences of calls by chance, and how a sequence shrinks. Deterministic by seed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "scenarios/calls/agent_lock.h"
#include "scenarios/calls/calls.h"

namespace hobbs {

/// Which processes a sequence has.
enum class CallTopology : std::uint8_t {
  kThreads,  // One, with threads.
  kFork,     // Forked with their language's hooks ...
  kRawFork,  // ... and bare.
  kSpawn,    // Unrelated.
  kMixed,    // All of these, with threads.
};
std::string_view to_string(CallTopology topology);

/// Whether the lock can be used so at all.
bool fits(const AgentLock& lock, CallTopology topology);

/// A sequence for this lock: calls that it offers, by up to four processes and their threads, with
/// forks, kills and ends of threads in between. About `length` moves.
Moves generate_moves(const AgentLock& lock, CallTopology topology, std::uint64_t seed,
                     std::size_t length);

/// The plainest sequence in which somebody waits and is let in, where the lock allows one.
Moves handover_moves(const AgentLock& lock, CallTopology topology);

/// Walks the shrinks of a failing sequence: goes on from the first that still fails, until none
/// does, so that the result is the smallest its neighbourhood has. `fails` may count its calls and
/// answer false to end early.
Moves shrink_moves(const Moves& failing, const std::function<bool(const Moves&)>& fails);

}  // namespace hobbs
