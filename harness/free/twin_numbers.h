// Two processes with one number: each in a process id namespace of its own, on one lock.
//
// A lock that keeps its owner's number takes the twin for the owner: it lets it in, tells it that
// it holds the lock, or lets it release. A lock that asks whether the owner's number lives looks in
// the wrong namespace, and takes a living owner for dead.
#pragma once

#include <string>

#include "harness/free/stage.h"
#include "locks/lock.h"

namespace hobbs::gang {

/// Whether the scene means anything for this lock: it claims to work across namespaces, and has a
/// call that does not wait for ever.
bool works_across_namespaces(const LockSpec& lock);

/// Played once, in some tens of milliseconds. `path`: for a lock on one; what it leaves there is
/// the caller's to remove. Leaves no process behind.
Played try_twin_numbers(const LockSpec& lock, const std::string& path, int attempt);

}  // namespace hobbs::gang
