// What a person calls an address: symbol and offset, and the source line where debug information
// is there. Names come from the symbol tables and the separate debug files that libdw finds; where
// it finds none, from the dynamic linker.
#pragma once

#include <cstdint>
#include <string>

namespace hobbs::step {

/// "__pthread_mutex_lock_full+0x1f", or the file with an offset in it where no symbol is known.
/// Not thread-safe.
std::string symbol_of(std::uint64_t address);

/// "pthread_mutex_lock.c:95", or empty.
std::string source_of(std::uint64_t address);

/// Where the symbol of this (mangled) name begins, in the module that `near` lies in; 0 if there is
/// none. A search of the whole table.
std::uint64_t address_of(const char* name, std::uint64_t near);

}  // namespace hobbs::step
