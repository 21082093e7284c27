// What is known of a process's code: its modules and symbols, and how a person reads them.
#pragma once

#include <elfutils/libdwfl.h>
#include <sys/types.h>

#include <cstdint>
#include <string>

namespace hobbs {

/// libdw's view of a process as it is now, to be ended with dwfl_end(); null if there is none. Asks
/// no network. Not thread-safe.
Dwfl* debug_information_of(pid_t process);

/// "0x1f".
std::string hexadecimal(std::uint64_t number);

/// The name as its author wrote it; what is not mangled stays as it is.
std::string demangled(const char* name);

/// What comes after the last slash; null stays null.
const char* file_name(const char* path);

}  // namespace hobbs
