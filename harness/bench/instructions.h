// How many instructions an uncontended acquire and release are: the same number in every run, so a
// gate on it needs no statistics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "locks/lock.h"

namespace hobbs::bench {

/// Acquires and releases a free lock that often, and nothing else: what valgrind counts.
void run_fast_path(const LockSpec& lock, const std::string& path, std::uint64_t operations);

struct Instructions {
  std::uint64_t per_operation = 0;
  std::string error;  // Not empty: one sentence.
};

/// Counts them with valgrind's callgrind: the difference between two runs of
/// `program bench --fast-path N --locks LOCK`, a hundredfold apart, over the operations between.
Instructions count_instructions(const std::string& program, const std::string& lock);

}  // namespace hobbs::bench
