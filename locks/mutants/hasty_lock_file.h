// Broken: a lock file that is looked for first and created afterwards.
//
// Lesson: between two system calls anything may happen; open() with O_CREAT and O_EXCL is one step.
// Breaks ME-1.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string>

namespace hobbs::mutants {

template <class P>
class HastyLockFile {
 public:
  static constexpr char kind[] = "file";
  explicit HastyLockFile(const char* path) : path_(path) {}

  void lock() {
    while (!try_lock()) P::yield();
  }
  bool try_lock() {
    if (::access(path_.c_str(), F_OK) == 0) return false;
    const int file = ::open(path_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);  // BUG: O_EXCL.
    if (file < 0) return false;
    ::close(file);
    return true;
  }
  void unlock() { ::unlink(path_.c_str()); }

 private:
  std::string path_;
};

}  // namespace hobbs::mutants
