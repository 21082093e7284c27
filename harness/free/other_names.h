// Other names of a lock's file: whether a lock on a path means the file that the path leads to, or
// the letters of the path. Whoever keeps what a process holds by the letters lets two in by two
// names, and so does whoever makes a lock's name of them.
//
// POSIX.1-2017, 4.13 (Pathname Resolution): a name that does not begin with a slash begins at the
// working directory, and a symbolic link to a folder leads into it.
#pragma once

#include <string>

#include "harness/free/stage.h"
#include "locks/lock.h"

namespace hobbs::gang {

/// Whether the lock stands for a path, and a newcomer can try it.
bool can_be_named_otherwise(const LockSpec& lock);

/// Played once, in some 20 ms: for each other name (bare in the working directory, by way of "..",
/// by way of a link to the folder) one holds the lock by its whole path, and another tries it by
/// the other name, from another process and, where threads share it, from another thread. Broken
/// if that one gets in. Refused if the holder has no file at that path, as a lock that is no file
/// has no other names; if two do not exclude each other by the whole path either; or if it cannot
/// be had by that name at all. `path`, where nothing is, gets a folder and a link beside it for the
/// time. Leaves no process behind.
Played try_other_names(const LockSpec& lock, const std::string& path, int attempt);

}  // namespace hobbs::gang
