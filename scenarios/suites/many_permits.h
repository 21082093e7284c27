// Semaphores of more permits than a program has workers for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "locks/lock.h"

namespace hobbs {

/// How often a lock that nobody holds is taken, to see whether it can be: by as many as may hold it
/// at once, but for a semaphore of more than any program needs.
inline std::uint32_t takes_of_probe(const Claims& claims) {
  constexpr std::uint32_t kMost = 1'000;
  return !claims.semaphore ? 1 : claims.permits < kMost ? claims.permits : kMost;
}

/// One worker takes all permits but two; then three more come for one each, by lock, try and timed.
/// Of so many permits that taking them all is no program, just a few are taken.
inline std::vector<std::string> many_permits_programs(std::uint32_t permits) {
  constexpr std::uint32_t kMostKept = 300, kFewKept = 3;
  const std::uint32_t kept = permits - 2 <= kMostKept ? permits - 2 : kFewKept;
  std::string takes, gives;
  for (std::uint32_t i = 0; i < kept; ++i) {
    takes += "lock ";
    gives += " unlock";
  }
  const std::string others = " | meet(4) lock work unlock | meet(4) lock work unlock | meet(4) ";
  std::vector<std::string> programs;
  for (const char* const last : {"lock work unlock", "try work unlock", "timed(2ms) work unlock"}) {
    programs.push_back(takes + "meet(4)" + gives + others + last);
  }
  return programs;
}

}  // namespace hobbs
