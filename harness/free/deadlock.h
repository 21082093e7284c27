// Waits that can never end: for oneself, and in a ring of two. A lock that claims to find them must
// refuse one of the calls, and take nothing away by that.
//
// Source: fcntl(2), EDEADLK; pthread_mutex_lock(3p) on PTHREAD_MUTEX_ERRORCHECK.
#pragma once

#include <string>

#include "harness/free/stage.h"
#include "locks/lock.h"

namespace hobbs::gang {

/// Whether the lock claims that its holder is refused, and not let wait for itself.
bool finds_own_deadlock(const LockSpec& lock);
/// Whether it claims that a ring of processes is found.
bool finds_ring(const LockSpec& lock);

// Played once each, in some tens of milliseconds; a lock that lets the parts wait is given
// 300 ms, twice that with each attempt from 0. `path`: for locks on one, which get a number behind
// it; what they leave there is the caller's to remove. Leave no process behind.

/// The holder asks again.
Played try_own_deadlock(const LockSpec& lock, const std::string& path, int attempt);
/// Two hold a lock each and ask for the other's: one of them must be refused.
Played try_ring(const LockSpec& lock, const std::string& path, int attempt);
/// The same, and who was refused must still have what it held.
Played try_ring_kept(const LockSpec& lock, const std::string& path, int attempt);

}  // namespace hobbs::gang
