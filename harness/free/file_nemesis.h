// What befalls the file of a lock on a path: touched, garbled, removed, replaced by another file or
// by something that is no file. Each says whether it really hit.
#pragma once

#include <sys/types.h>

#include <string>

#include "harness/free/nemesis.h"

namespace hobbs::gang {

/// What no lock may mind at any time: opens the file and closes it again, gives it a second name
/// and takes that away, moves its time or changes its mode. False if the file is not there.
bool touch_file(const std::string& path, Dice& dice);

/// What only minds a lock that reads its file: cuts it, writes senseless bytes into it, moves its
/// time.
bool garble_file(const std::string& path, Dice& dice);

/// As a holder may that goes: removes the file, or puts an empty one in its place.
bool remove_file(const std::string& path, Dice& dice);

/// Whether the process has a file open whose name begins with the path.
bool has_open(pid_t process, const std::string& path);

/// While nobody has it open: removes one of the lock's files, those whose names begin with the
/// path, or puts a copy of it in its place.
bool replace_file(const std::string& path, Dice& dice);

/// While nobody has it open: sets the lock's file aside and puts a FIFO or a folder in its place.
/// Only where a file is at rest: to a lock whose file says that it is held, anything would say so.
bool put_hostile(const std::string& path, Dice& dice);
/// Undoes put_hostile(); nothing happens where that has not been.
void put_right(const std::string& path);

}  // namespace hobbs::gang
