// Decides what intervals do not: an exact search over one lock's history, against the model.
//
// Reads the history in order of time and keeps the set of all (state, calls that have taken effect)
// that some order of the calls seen so far leads to; the history is impossible when the set is
// empty. Three things keep the set small and lose nothing:
//   - a call takes effect no earlier than something forces it to: when a return (or a death) is
//     due, only the paths of effects that end in it are followed;
//   - a failed call changes no state: it is done in a configuration as soon as that allows it;
//   - configurations that agree in the state and in what is still open are one.
// A budget bounds the work. What exceeds it is undecided, with the instant at which it stopped.
#pragma once

#include <cstdint>

#include "locks/lock.h"
#include "scenarios/rules/history/logged_call.h"

namespace hobbs {

struct SearchResult {
  enum class Kind : std::uint8_t { kLegal, kIllegal, kOutside, kUndecided } kind = Kind::kLegal;
  LoggedCall culprit;        // kIllegal: the call that no order explains.
  std::int64_t at_ns = 0;    // When it ended (kIllegal), or how far the search came.
  std::uint64_t states = 0;  // How many were visited.
};

/// At most 64 logs; with more, kUndecided at once.
SearchResult search_history(const Claims& claims, Home home, const LockLogs& lock,
                            std::uint64_t budget);

}  // namespace hobbs
