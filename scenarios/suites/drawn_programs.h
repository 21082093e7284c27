// Programs drawn at random over what a lock offers: beyond those that can all be enumerated.
#pragma once

#include <cstdint>

#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs {

/// Two to five workers (no more than the lock has room for) with one to three sections each, of the
/// kinds of sections_of(): some of them longer, later, at a second lock of the kind, or within
/// another section. The same seed, the same program. No workers at all if the lock offers no
/// section, or not to two.
///
/// No program deadlocks on a lock that keeps its claims: who holds the second lock asks for
/// nothing.
Program drawn_program(const LockSpec& lock, std::uint64_t seed);

}  // namespace hobbs
