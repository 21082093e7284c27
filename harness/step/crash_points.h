// Death at every instruction: for each point at which a worker can be killed, what becomes of the
// lock for the others.
#pragma once

#include <string>
#include <vector>

#include "harness/step/graph.h"

namespace hobbs::step {

struct CrashPoint {
  std::string role;         // "acquiring", "waiting", "holding", "releasing", "recovering".
  std::string instruction;  // "__pthread_mutex_unlock_full+0x9a: mov [rdi+8], 0"; in words if none.
  std::uint64_t states = 0;  // From which the death was tried.
  bool told = false;         // The next acquirer can be told of the death,
  bool released = false;     // or get the lock without being told,
  bool unasked = false;      // or there is none that comes after,
  bool stuck = false;        // or the others can get into a state that they never leave.
  bool broken = false;       // A rule can be broken afterwards.

  /// "told", "told or released", "STUCK", ...
  std::string outcome() const;
};

/// From a graph that was explored past violations and its can_finish(), in the order in which the
/// points are reached.
std::vector<CrashPoint> crash_points(World& world, const Graph& graph,
                                     const std::vector<std::uint8_t>& can_finish);

/// The points as an aligned table, one line each, with a head and a sum.
std::string crash_table(const std::vector<CrashPoint>& points, bool stuck_is_claimed);

}  // namespace hobbs::step
