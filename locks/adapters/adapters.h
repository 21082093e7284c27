// Other libraries' locks as peers of ours: one function and one file a library.
//
// An adapter claims what its library's documentation promises, not what its code happens to do; so
// a finding against it is a finding against a promise. What cannot work between processes says why
// (LockSpec::unusable_between_processes), so that nobody measures it wrong there.
#pragma once

#include <string>
#include <utility>

#include "locks/lock.h"

namespace hobbs {

/// All of them.
Catalog adapter_catalog();

Catalog std_locks();
Catalog pthread_locks();
Catalog sysv_locks();
Catalog file_locks();
Catalog boost_locks();
Catalog tbb_locks();
Catalog ck_locks();
Catalog nsync_locks();
Catalog abseil_locks();

namespace adapters {

/// `spec` as a peer's entry in the catalogue.
inline LockSpec peer(LockSpec spec, std::string summary, std::string source) {
  spec.peer = true;
  spec.summary = std::move(summary);
  spec.source = std::move(source);
  return spec;
}

/// As peer(), for a lock that only threads of one process may share, for this reason.
inline LockSpec threads_only(LockSpec spec, std::string summary, std::string source,
                             std::string reason) {
  spec.claims.process_shared = false;
  spec.claims.fork = ForkBehaviour::kPrivateCopy;
  spec.unusable_between_processes = std::move(reason);
  return peer(std::move(spec), std::move(summary), std::move(source));
}

}  // namespace adapters
}  // namespace hobbs
