// How waiters wait: whether one whom nothing but the holder keeps waiting sleeps, or burns a
// processor. A futex wait that always finds another value than it expects spins, and nothing else
// shows that: the lock excludes, and nobody waits longer than for the holder.
//
// POSIX.1-2017, 3.45: a blocked thread waits "for some condition (other than the availability of a
// processor)". Processor time is the evidence, so that a loaded machine accuses nobody.
#pragma once

#include <string>

#include "harness/free/stage.h"
#include "locks/lock.h"

namespace hobbs::gang {

/// Whether the lock claims that its waiters sleep, and processes can wait for it.
bool waits_asleep(const LockSpec& lock);

/// Played once, in some 300 ms, more on a loaded machine: two waiters of each call that can wait,
/// for holders of each mode, each pair on a lock of its own. `path`: for locks on one, which get a
/// number behind it; what they leave there is the caller's to remove. Leaves no process behind.
Played try_asleep(const LockSpec& lock, const std::string& path, int attempt);

}  // namespace hobbs::gang
