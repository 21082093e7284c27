// Zeroed memory as a lock: two processes use it, and nobody has constructed it.
#pragma once

#include <string>

#include "harness/free/stage.h"
#include "locks/lock.h"

namespace hobbs::gang {

/// Whether the lock claims that zeroed memory is a free one, between processes.
bool is_free_when_zero(const LockSpec& lock);

/// Played once, in some milliseconds. A lock that lets nobody in is given 300 ms without any
/// progress, twice that with each attempt from 0. Leaves no process behind.
Played try_zeroed(const LockSpec& lock, const std::string& path, int attempt);

}  // namespace hobbs::gang
