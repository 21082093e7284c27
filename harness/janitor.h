// The scratch directory of one call, and the process that clears it away whatever happens.
//
// The janitor is a child that makes the directory, so that nothing is ever there without it, and
// then does nothing but wait. It holds the read end of a pipe whose write end every process of
// the call inherits, so it sees when the last of them is gone. Then it removes the directory,
// every object in /dev/shm whose name contains the directory's name, and every System V semaphore
// set that a small file of the directory names (lock_file.h).
// If the call itself is killed (even with SIGKILL) or says that it is done, the janitor kills the
// processes that still hold the pipe first. There is one way to clean up.
#pragma once

#include <sys/types.h>

#include <string>

namespace hobbs {

/// The environment variable that tells locks and agents the directory's name, to be part of the
/// names of what they make in /dev/shm.
inline constexpr char kScratchName[] = "HOBBS_SCRATCH";

/// Where scratch directories are made: $TEST_TMPDIR, $TMPDIR or /tmp.
std::string scratch_directory();

class Janitor {
 public:
  /// Starts the janitor, which makes a fresh directory in scratch_directory(), and sets
  /// kScratchName. Call it while the process has one thread. Throws std::system_error if the system
  /// refuses, or the directory's disk is full.
  Janitor();
  /// Waits until everything is cleared away.
  ~Janitor();
  Janitor(const Janitor&) = delete;
  Janitor& operator=(const Janitor&) = delete;

  /// The descriptor by which the janitor of this process's call, if any, sees that somebody of the
  /// call is left; -1: there is none. For processes that close what they inherit: keep it open.
  static int lifeline() { return call_lifeline_; }

  const std::string& directory() const { return directory_; }
  pid_t pid() const { return pid_; }

 private:
  void wait_for_janitor() const;

  static inline int call_lifeline_ = -1;

  std::string directory_;
  int lifeline_ = -1;
  pid_t pid_ = -1;
};

}  // namespace hobbs
