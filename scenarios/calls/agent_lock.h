// How an agent's lock is made and called, and what it promises: what a sequence of calls needs to
// know to be run on it. Pure data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "locks/lock.h"
#include "scenarios/calls/calls.h"
#include "scenarios/cases/expectation.h"

namespace hobbs {

/// A call in the case language: L.member(arguments), with $T for the seconds of a timed one, $W for
/// a number of the caller.
struct AgentCall {
  Verb verb = Verb::kAcquire;
  Mode mode = Mode::kExclusive;
  std::string member;
  std::string arguments;
};

/// Something that some agent's lock is known not to survive: it is left out for that agent, and
/// told. Other agents are asked it.
struct KnownHazard {
  enum class Kind : std::uint8_t {
    kRawForkWhileHeld,  // A bare fork while a thread of the forking process holds the lock.
    kForkWhileHeld,     // Any fork, then.
    kEndWhileHeld,      // The end of a thread while it holds the lock.
    kReleaseMayWait,    // A release that waits for others.
  } kind;
  std::string agent;
  std::string sentence;
};

struct AgentLock {
  std::string name;  // As results name it: mp.Lock, ticket, ...
  Claims claims;
  Home home = Home::kMemory;
  /// Who has an object of his own.
  enum class Objects : std::uint8_t { kOne, kPerProcess, kPerWorker } objects = Objects::kOne;
  std::string make;             // KIND(ARGUMENTS), with $D for a directory, $R for the run.
  bool forks = true;            // Whether forked processes may use it ...
  bool spawns = false;          // ... and unrelated ones, which make theirs by `attach`.
  std::string make_to_spawn;    // Instead of `make`, where there are unrelated processes.
  std::string handle;           // An attribute of the first object, known to `attach` as $N.
  std::string attach;           // KIND(ARGUMENTS).
  bool again = true;            // Whether a holder who cannot have it again may ask for it.
  bool tells_outcomes = false;  // Its calls answer with to_string(Outcome), not as Python's do.
  std::vector<AgentCall> calls;
  std::vector<KnownHazard> hazards;

  const AgentCall* find(Verb verb, Mode mode) const;
  bool has_hazard(KnownHazard::Kind kind, std::string_view agent) const;
};

/// The locks of the seeds that any agent may serve, under their names of DESIGN 4.5.
const std::vector<AgentLock>& seed_agent_locks();

/// A lock of the catalogue, as `hobbs agent` serves it.
AgentLock catalog_agent_lock(const LockSpec& spec);

/// What a reply to this call means.
Outcome outcome_of(const AgentLock& lock, Verb verb, const CallReply& reply);

}  // namespace hobbs
