// A schedule as a story: what each transition is about to do, and the lock's words after it.
#pragma once

#include <string>
#include <vector>

#include "harness/step/world.h"

namespace hobbs::step {

struct TraceLine {
  std::string text;   // "pthread_mutex_lock+0x1f: lock cmpxchg [rdi], edx   [lock=0x1]"
  std::string where;  // "tas.c:12", or empty where no debug information is found.
};

/// One line a transition.
std::vector<TraceLine> trace(World& world, const std::vector<Transition>& path);

/// What the transition is about to do.
std::string describe(World& world, const State& state, const Transition& transition);

}  // namespace hobbs::step
