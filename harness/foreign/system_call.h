// What a system call means to other processes: pure knowledge of numbers and arguments.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace hobbs::foreign {

struct SystemCall {
  long number = -1;
  std::array<std::uint64_t, 6> arguments{};
};

enum class Effect : std::uint8_t {
  kPrivate,  // Nothing: it concerns the caller's own process.
  kShared,   // It reads or changes what other processes see, or waits for them.
  kSleep,    // It lets time pass.
};

/// Of a futex: as if its word were in memory of its own. What is not known is private.
Effect effect_of(const SystemCall& call);

/// "futex", "openat"; "system call 999" where it has no name here.
std::string name_of(long number);

/// Whether memory may be mapped otherwise after it.
bool changes_mappings(long number);

/// Whether the first argument is the descriptor that it is about.
bool takes_descriptor(long number);

/// The argument that points to a path; -1: none does.
int path_argument(long number);

/// Whether it can send a reply: it writes to a descriptor.
bool writes_descriptor(long number);

}  // namespace hobbs::foreign
