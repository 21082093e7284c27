// One plain use of a lock, alone, in a process of its own, before it is searched in this one: making
// a modelled world constructs the lock and makes each call once for real, and a lock that faults or
// hangs in that must take nothing else with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "harness/step/step_case.h"
#include "reports/result.h"

namespace hobbs::step {

struct PlainTrial {
  enum class End : std::uint8_t {
    kWell,     // Or the system refused something, which whoever makes the world will be told.
    kFaulted,  // SIGSEGV, SIGBUS, SIGILL or SIGFPE: `what` says of which, and where.
    kEnded,    // In another way: `what`.
    kHung,     // It had not come back when time was up: `what`.
  } end = End::kWell;
  std::string what;  // "died of SIGSEGV at lock_it+0x4, which reaches for 0x10".
};

/// Makes the world of this case in a child, and ends it.
PlainTrial try_plainly(const StepCase& one, std::chrono::steady_clock::time_point until);

/// One trial for all cases that make the same calls.
class PlainTrials {
 public:
  /// What is to be said of a case that cannot be searched since its calls do not even work alone: a
  /// fault that came twice is a finding, once. Nothing if they do.
  std::optional<Result> failure(const StepCase& one,
                                std::chrono::steady_clock::time_point until);

 private:
  // What went wrong, or nothing; by the calls, and the workers of a lock on a path.
  std::map<std::pair<unsigned, std::size_t>, std::string> known_;
};

}  // namespace hobbs::step
