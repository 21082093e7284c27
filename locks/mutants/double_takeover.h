// Broken: two workers that find the same stale lock file both remove it.
//
// Lesson: the second removes the file that the first has just created for itself. Let somebody die
// with the lock and two come after. Breaks ME-1.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace hobbs::mutants {

template <class P>
class DoubleTakeover {
 public:
  static constexpr char kind[] = "file";
  explicit DoubleTakeover(const char* path) : path_(path) {}

  void lock() {
    while (!try_lock()) P::yield();
  }
  bool try_lock() {
    const int file = ::open(path_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) {
      if (is_stale()) ::unlink(path_.c_str());  // BUG: it may be somebody's by now.
      return false;
    }
    const std::string me = std::to_string(::getpid());
    const bool written = ::write(file, me.data(), me.size()) == static_cast<ssize_t>(me.size());
    ::close(file);
    return written;
  }
  void unlock() { ::unlink(path_.c_str()); }

 private:
  bool is_stale() const {
    char text[16] = {};
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    const ssize_t bytes = ::read(file, text, sizeof text - 1);
    ::close(file);
    return bytes > 0 && ::kill(std::atoi(text), 0) != 0;
  }

  std::string path_;
};

}  // namespace hobbs::mutants
