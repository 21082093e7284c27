// Broken locks on a path, which the gallery has none of: what signals and inheritance bring out.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <string>

namespace hobbs {

/// Takes a wait that a signal has ended for success (ME-1, under signals).
template <class P>
class InterruptedIsMine {
 public:
  static constexpr char kind[] = "file";

  explicit InterruptedIsMine(const char* path)
      : descriptor_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  ~InterruptedIsMine() { ::close(descriptor_); }

  void lock() { static_cast<void>(::flock(descriptor_, LOCK_EX)); }
  void unlock() { static_cast<void>(::flock(descriptor_, LOCK_UN)); }

 private:
  int descriptor_;
};

/// Releases by closing, and lets programs that are started meanwhile inherit the descriptor (FK-5).
template <class P>
class Inheritable {
 public:
  static constexpr char kind[] = "file";

  explicit Inheritable(const char* path) : path_(path) {}

  bool lock() {
    descriptor_ = ::open(path_.c_str(), O_CREAT | O_RDWR, 0600);
    return ::flock(descriptor_, LOCK_EX) == 0;
  }
  void unlock() { ::close(descriptor_); }

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace hobbs
