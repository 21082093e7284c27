// Whether a traced process that does not stop is asleep for good, by the kernel's word.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace hobbs::foreign {

/// Not thread-safe.
class Sleeper {
 public:
  explicit Sleeper(pid_t process);
  ~Sleeper();
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  /// False: there is no such process.
  bool is_there() const { return stat_ >= 0; }
  /// Whether its first thread is asleep at this moment.
  bool seems_asleep() const;
  /// Asked again and again while it seems asleep. True: it sleeps until others do something, as it
  /// waits without a timeout. `in_shared_wait`: in a call that is known to wait for others; else it
  /// may wait for a thread of its own, and all of them must have been at rest for a while.
  bool waits(bool in_shared_wait);
  /// It has moved: what was seen before does not count.
  void forget() { quiet_looks_ = 0; }
  /// "asleep in futex", of the last look.
  const std::string& where() const { return where_; }

 private:
  bool family_rests();

  const pid_t process_;
  int stat_ = -1;  // Open on /proc/PID/stat.
  std::int64_t turns_ = -1;
  int quiet_looks_ = 0;
  std::string where_;
};

}  // namespace hobbs::foreign
