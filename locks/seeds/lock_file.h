// A file that is locked as a whole by the kernel for a process: fcntl(2) record locks, which is
// what fasteners locks with, so that both exclude each other on one path.
//
// The kernel's rules, which show through: the lock is the process's, not the object's or the
// thread's; closing any descriptor of the file drops it; a forked child has none; it ends with the
// process. A file that is unlinked while locked is another file than the next of that name.
#pragma once

#include <functional>
#include <string>

#include "locks/lock.h"

namespace hobbs {

/// Receives what a lock logs: the level as Python numbers it (5: trace; 40: error), and a line.
using Logger = std::function<void(int level, const std::string& line)>;
inline constexpr int kTraceLevel = 5;
inline constexpr int kErrorLevel = 40;

/// A preemption and crash point between two calls of the system, where the platform has any.
template <class P>
void file_point() {
  if constexpr (requires { P::file_point(); }) P::file_point();
}

/// Not thread-safe.
class LockFile {
 public:
  /// `mode` kExclusive: opened for writing only, as such a lock needs; kShared: for both.
  LockFile(std::string path, Mode mode) : path_(std::move(path)), mode_(mode) {}
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;
  ~LockFile() { close(); }

  const std::string& path() const { return path_; }
  bool exists() const;
  bool is_open() const { return descriptor_ >= 0; }

  /// Makes missing folders (told to the logger) and the file, whose content it keeps, and opens it
  /// unless it is open. LockError with the errno; kBadArgument for a path with a zero byte.
  void open(const Logger& log);
  /// Whether the process has the lock now; a lock that it has is converted, or kept if it cannot
  /// be. kNotOpen, or the errno if the system refuses for another reason than somebody's lock.
  bool try_lock(Mode mode);
  /// kNotOpen; the errno.
  void unlock();
  void close();

 private:
  int descriptor() const;

  std::string path_;
  Mode mode_;
  int descriptor_ = -1;
};

}  // namespace hobbs
