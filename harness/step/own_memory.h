// This process's own memory, looked at without touching it: what a lock's code points at may be
// nowhere.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hobbs::step {

enum Rights : std::uint8_t { kReadable = 1, kWritable = 2, kExecutable = 4 };

/// Whether the kernel lets this process do that at `address` (proc(5), maps). Not thread-safe.
bool has_right(std::uint64_t address, Rights right);

/// Copies up to the first byte that cannot be read; how many that were. Never faults.
std::size_t copy_own(std::uint64_t from, void* to, std::size_t bytes);

}  // namespace hobbs::step
