// Broken: removes its file when it is done with it.
//
// Lesson: a worker that waits for the lock of the removed file gets it, while a third creates the
// file anew and locks that one. Whoever locks a path must check afterwards that the path still
// names what it has locked. Needs three workers. Breaks ME-1.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace hobbs::mutants {

template <class P>
class TidyLockFile {
 public:
  static constexpr char kind[] = "file";
  explicit TidyLockFile(const char* path) : path_(path) {}
  ~TidyLockFile() {
    if (file_ >= 0) ::close(file_);
  }

  void lock() {
    file_ = ::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    while (::flock(file_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  void unlock() {
    ::unlink(path_.c_str());  // BUG: somebody may wait for this very file.
    ::close(file_);
    file_ = -1;
  }

 private:
  std::string path_;
  int file_ = -1;
};

}  // namespace hobbs::mutants
