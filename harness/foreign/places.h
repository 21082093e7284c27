// What a person calls an address of another process, and what it does there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

struct Dwfl;

namespace hobbs::foreign {

struct Point;

/// Reads symbol tables and debug information of processes; remembers them. Not thread-safe.
class Places {
 public:
  Places();
  ~Places();
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;

  /// "sem_wait+0x3a of libc.so.6"; the offset in the file where no symbol is known.
  std::string place_of(pid_t process, std::uint64_t address);

  /// "futex at sem_wait+0x3a of libc.so.6", "openat '/tmp/lk' at ...", or the instruction and the
  /// shared word. The process is stopped.
  std::string describe(pid_t process, const Point& point);

 private:
  Dwfl* of(pid_t process);

  std::map<pid_t, Dwfl*> known_;
};

}  // namespace hobbs::foreign
