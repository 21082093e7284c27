// Judges the histories of locks that their holder releases, from intervals alone, in one pass.
//
// A section is an acquire [ai,ar] and the release [ri,rr] that ends it. Its *certain hold* is
// [ar,ri]: whatever the true order, it was held then. The theorems (each is tried against a plain
// search in agreement_test.cc):
//   T1  Successes alone can be ordered exactly if no certain holds conflict: choose ar and ri.
//   T2  Between consecutive exclusive sections E and F, with shared sections between that begin
//       their certain holds at s0 the earliest and end them at s1 the latest, it is certain that
//       no one holds exclusively strictly between min(E.rr, s0) and max(F.ai, s1). A shared try
//       fails groundlessly exactly if it lies inside; an exclusive one if, besides, it misses the
//       possible hold of every shared section between.
//   T4  A call that never returned may have taken effect, after which its worker holds for ever:
//       that can only be after all conflicting certain holds. A death ends a hold (where the lock
//       lets it) somewhere in its window, like a release.
// Beyond T2 a failure is excused, since no correct lock shall be accused:
//   - a shared attempt by an exclusive call that waits at the time, unless readers are preferred;
//   - any attempt by a conflicting waiting call that gives up: the lock may be on its way through
//     the hands of the one who goes;
//   - by a death inside a call, from then on, of a lock that need not survive it.
// Upgrades that are refused, failures beside conversions, and optional holds of the dead among
// unexplained failures are left to a search (Ledger::needs_search).
//
// O(n log k) for n calls in k logs; memory is a few hundred bytes a worker.
#pragma once

#include "locks/lock.h"
#include "scenarios/rules/history/ledger.h"
#include "scenarios/rules/history/logged_call.h"

namespace hobbs {

/// Whether sweep_owned() knows such locks: owned, or released by anyone as long as each worker
/// releases its own; no semaphore.
bool owned_sweep_applies(const Claims& claims, const LockLogs& lock);

void sweep_owned(const Claims& claims, Home home, const LockLogs& lock, Ledger& ledger);

/// The same for the calls of workers 0..workers-1 in one sequence, ordered by invocation, when
/// nobody was killed or signalled.
void sweep_owned_ordered(const Claims& claims, Home home, std::span<const LoggedCall> calls,
                         std::size_t workers, Ledger& ledger);

}  // namespace hobbs
