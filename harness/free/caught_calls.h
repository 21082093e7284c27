// The system calls that a lock makes, caught on their way into the kernel.
//
// A seccomp filter hands the calls by which locks work (futexes, semaphores, files) to a handler of
// SIGSYS, which makes them from the one place that the filter lets through. Inside a call of the
// lock it does more:
//   * It passes the calling thread's hook, before and after: so a lock that is no template over
//     Platform, and has no hook points, can be delayed, forked and killed between its system calls.
//   * It answers some of them itself. Under kRefusals it refuses them though nothing is wrong with
//     them: the kernel is short of memory, or of records for locks (ENOMEM, ENOLCK). Under
//     kClockSet a wait until some time of the wall clock is over at once, as if that had been set
//     forward.
// A filter cannot be taken off again, so it lies over the workers of such a run alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/free/nemesis.h"
#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs::gang {

/// Why that cannot be done on this machine; empty if it can. Tried out once, in a child.
const std::string& why_no_caught_calls();

/// Why a lock does not bear it, so far as a run has shown.
enum class Uncatchable : std::uint32_t {
  kNot,
  kForks,          // In its calls, perhaps to start a program: over that the filter would lie, too.
  kBlocksSignals,  // SIGSYS among them, so that a caught call ends the process.
};
/// In words, of a lock.
std::string_view to_string(Uncatchable why);

/// For the calling thread and its children, from now on. False if the system refuses. In
/// `uncatchable`, which must outlive the process, is told if the lock turns out to be that.
bool catch_calls(std::atomic<std::uint32_t>& uncatchable);

/// Whether the nemesis strikes by what calls answer.
bool falsifies_calls(Nemesis nemesis);

/// Whether the calls of the workers of such a run are caught: for what they answer, or to be the
/// points at which the lock is struck. They are if it has no others, the run strikes at points, and
/// nobody becomes another program, over which the filter would lie too.
bool catches_calls(const LockSpec& lock, const Program& program, Nemesis nemesis);

}  // namespace hobbs::gang
