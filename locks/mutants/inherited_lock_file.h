// Broken: opens its file without close-on-exec, and unlocks by closing it.
//
// Lesson: a program that somebody starts meanwhile inherits the open file, and with it the lock.
// Breaks FK-5: nobody gets the lock while that program runs.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace hobbs::mutants {

template <class P>
class InheritedLockFile {
 public:
  static constexpr char kind[] = "file";
  explicit InheritedLockFile(const char* path) : path_(path) {}
  ~InheritedLockFile() {
    if (file_ >= 0) ::close(file_);
  }

  void lock() {
    file_ = ::open(path_.c_str(), O_CREAT | O_RDWR, 0600);  // BUG: O_CLOEXEC.
    while (::flock(file_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  void unlock() {
    ::close(file_);
    file_ = -1;
  }

 private:
  std::string path_;
  int file_ = -1;
};

}  // namespace hobbs::mutants
