// A process number that is used again: the holder dies, and an innocent process gets its number.
//
// A lock that keeps its owner's number and asks only whether such a process lives waits for the
// innocent one, for ever. A process number comes round after hours or weeks; in a process id
// namespace of one's own it can be given at once (/proc/sys/kernel/ns_last_pid, pid_namespaces(7)).
//
// The evidence is causal: who waits does not get the lock while the innocent process lives, however
// long, and gets it when that is killed, which has never heard of the lock.
#pragma once

#include <string>

#include "harness/free/stage.h"
#include "locks/lock.h"

namespace hobbs::gang {

/// Whether the scene means anything for this lock: processes share it, and a dead holder's lock is
/// claimed to be recovered.
bool survives_deaths(const LockSpec& lock);

/// Played once, in some tens of milliseconds if all is well; a lock that waits in vain is given
/// half a second, and then as long again; twice that with each attempt from 0. `path`: for a lock
/// on one; what it leaves there is the caller's to remove. Leaves no process behind.
Played try_reused_number(const LockSpec& lock, const std::string& path, int attempt);

}  // namespace hobbs::gang
