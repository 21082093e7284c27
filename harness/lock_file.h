// What a lock's file says of a kernel object that has no place in the file system.
#pragma once

#include <string>

namespace hobbs {

/// A lock that makes a System V semaphore set chooses a key, writes "sysv-semaphore-key:KEY" into
/// its file, and then makes the set, so that whenever everybody was killed it can be removed.
/// Removes the set that the file `name` in the directory `folder` names, if any.
/// Async-signal-safe.
void remove_what_it_names(int folder, const char* name);
void remove_what_it_names(const std::string& path);

}  // namespace hobbs
