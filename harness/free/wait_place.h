// Where a worker waits, as the kernel knows it, told in terms of the lock.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "harness/free/arena.h"

namespace hobbs::gang {

/// "state S in futex_do_wait, on the word at byte 4 of lock 0, now 0x2, until it is not 0x2; in the
/// kernel: futex_wait_queue < futex_wait < do_futex"; as much of it as /proc tells, or empty.
/// `lock_bytes`: the size of a lock in memory that all share; 0 if there is none.
std::string wait_place(const Arena& arena, std::size_t slot, std::size_t lock_bytes);

/// Whether that process has become the program that the kernel calls `name` and now sleeps in it,
/// or is gone.
bool is_asleep_as(pid_t process, std::string_view name);

/// In which of `count` locks of `lock_bytes` that begin at `objects` an address lies; false if in
/// none. Pure.
struct PlaceInLock {
  std::size_t lock = 0;
  std::size_t byte = 0;
};
bool find_in_locks(std::uint64_t address, const std::uint64_t* objects, std::size_t count,
                   std::size_t lock_bytes, PlaceInLock& place);

}  // namespace hobbs::gang
