// One plain use of a lock, alone, in a process of its own, before it is searched in this one: making
// a modelled world constructs the lock and makes each call once for real, and a lock that faults or
// hangs in that must take nothing else with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "harness/step/step_case.h"

namespace hobbs::step {

struct PlainTrial {
  enum class End : std::uint8_t {
    kWell,     // Or the system refused something, which whoever makes the world will be told.
    kFaulted,  // SIGSEGV, SIGBUS, SIGILL or SIGFPE: `what` says of which, and where.
    kEnded,    // In another way: `what`.
    kHung,     // It had not come back when time was up: `what`.
  } end = End::kWell;
  std::string what;  // "died of SIGSEGV at lock_it+0x4, where it reads 0x10".
};

/// Makes the world of this case in a child, and ends it.
PlainTrial try_plainly(const StepCase& one, std::chrono::steady_clock::time_point until);

}  // namespace hobbs::step
