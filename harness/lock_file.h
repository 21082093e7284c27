// What a lock's file says of a kernel object that has no place in the file system.
#pragma once

#include <string>

namespace hobbs {

/// A lock that makes a System V semaphore set writes "sysv-semaphore:ID" into its file, so that the
/// set can be removed after everybody was killed. Removes the set that this file names, if any.
/// Async-signal-safe but for the argument.
void remove_what_it_names(const std::string& path);

}  // namespace hobbs
