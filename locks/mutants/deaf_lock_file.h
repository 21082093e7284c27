// Broken: does not look at what flock() returned.
//
// Lesson: a signal ends the wait, and the lock is not held. Breaks ME-1.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace hobbs::mutants {

template <class P>
class DeafLockFile {
 public:
  static constexpr char kind[] = "file";
  explicit DeafLockFile(const char* path)
      : file_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  ~DeafLockFile() { ::close(file_); }

  void lock() { ::flock(file_, LOCK_EX); }  // BUG: -1 with EINTR is no lock.
  void unlock() { ::flock(file_, LOCK_UN); }

 private:
  int file_;
};

}  // namespace hobbs::mutants
