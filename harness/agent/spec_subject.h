// Serves the locks of a catalogue, whatever they are, as they are.
//
//   hobbs.lock(NAME, PATH)     a new lock; what it shares with other processes is at PATH
//   hobbs.attach(NAME, PATH)   the same lock, in a process that is not forked from its maker's
//
// Methods: acquire, try_acquire, acquire_for, release, their *_shared forms, upgrade, try_upgrade,
// downgrade, as far as the lock has them; the first argument is the caller's worker id (1..64, of
// its own in all processes), the second of acquire_for the seconds. They answer with the text of
// the Outcome and raise nothing.
#pragma once

#include <memory>
#include <string>

#include "harness/agent/subject.h"
#include "locks/lock.h"

namespace hobbs::agent {

/// KeyError if the catalogue has no such lock. A lock in memory is mapped from a file at PATH where
/// processes share it, and is private memory where they do not.
std::shared_ptr<Subject> make_spec_subject(const Catalog& catalog, const std::string& kind,
                                           const Json& positional, const Json& keywords);

}  // namespace hobbs::agent
