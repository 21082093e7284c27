// What the coordinator does to a lock's file and to its workers' resources: nothing that a lock on
// a path would have to promise to survive.
#pragma once

#include <sys/types.h>

#include <string>

#include "harness/free/nemesis.h"

namespace hobbs::gang {

/// One of: open the file and close it again, give it a second name and take that away, move its
/// time, change its mode. False if the file is not there.
bool attack_file(const std::string& path, Dice& dice);

/// The process gets no more descriptors, or no more room in files; until make_plenty().
void make_scarce(pid_t process, Dice& dice);
void make_plenty(pid_t process);

}  // namespace hobbs::gang
