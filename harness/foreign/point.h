// What a process is about to do, where it is held.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "harness/foreign/system_call.h"

namespace hobbs::foreign {

struct Point {
  enum class Kind : std::uint8_t { kSystemCall, kMemory } kind = Kind::kSystemCall;
  SystemCall call;
  std::uint64_t code = 0;     // The instruction, of a system call the one after it.
  std::uint64_t address = 0;  // In shared memory.
  std::uint64_t word = 0;     // What is there before the access.
  std::string path;           // Of a system call that names one.
};

/// The thread is stopped there.
Point point_at_call(pid_t thread, const SystemCall& call, std::uint64_t code);
Point point_at_access(pid_t thread, std::uint64_t address);

/// The same number for the same thing done to the same content.
std::uint64_t signature_of(pid_t thread, const Point& point);

}  // namespace hobbs::foreign
