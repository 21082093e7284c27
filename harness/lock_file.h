// What a lock's file says of a kernel object that has no place in the file system.
#pragma once

#include <string>

namespace hobbs {

/// A lock that makes a System V semaphore set chooses a key, writes "sysv-semaphore-key:KEY" into
/// its file, and then makes the set, so that whenever everybody was killed it can be removed.
/// Removes the set that this file names, if any. Async-signal-safe but for the argument.
void remove_what_it_names(const std::string& path);

}  // namespace hobbs
