// The memory that a process shares with others and may change: where a lock between processes is.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hobbs::foreign {

struct Range {
  std::uint64_t begin = 0, end = 0;
  bool contains(std::uint64_t address) const { return address >= begin && address < end; }
  bool operator==(const Range&) const = default;
};

/// Of the text of /proc/PID/maps: the mappings that are shared, readable and writable, and made of
/// files, anonymous or System V memory, no device. Neighbours are one.
std::vector<Range> shared_ranges(std::string_view maps);

/// Where the text of /proc/PID/maps has the code that the kernel gives to every process, which has
/// a system call instruction in it; empty if it has none.
Range kernel_code(std::string_view maps);

/// That text of a process; empty if it is gone.
std::string maps_of(pid_t process);
}  // namespace hobbs::foreign
