// Two processes with one number: each in a process id namespace of its own, on one lock.
//
// A lock that keeps its owner's number takes the twin for the owner: it lets it in, tells it that
// it holds the lock, or lets it release. A lock that asks whether the owner's number lives looks in
// the wrong namespace, and takes a living owner for dead.
#pragma once

#include <string>

#include "locks/lock.h"

namespace hobbs::gang {

struct TwinTrial {
  enum class End : std::uint8_t {
    kToldApart,  // The twin had to wait until the holder had released.
    kMistaken,   // It was taken for the holder: `sentence`.
    kUnsure,     // It came to none of this: `sentence`.
    kRefused,    // The system does not allow it: `sentence`.
  } end = End::kUnsure;
  std::string sentence;
};

/// Whether the trial means anything for this lock: it claims to work across namespaces, and has a
/// call that does not wait for ever.
bool works_across_namespaces(const LockSpec& lock);

/// One trial, in some tens of milliseconds. `path`: for a lock on one; what it leaves there is the
/// caller's to remove. Leaves no process behind.
TwinTrial try_twin_numbers(const LockSpec& lock, const std::string& path);

}  // namespace hobbs::gang
