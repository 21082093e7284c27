// A kernel object that goes by a name of its own (a semaphore set, a shared memory object), made
// to live as long as somebody has a file open: the file says its name, and the last one out
// removes it.
//
// The file's content is the name. Two record locks of the open file description guard it: byte 0,
// shared, is held by each user for as long as it lives, so who can make it exclusive is the last;
// byte 1 makes creating and removing one at a time. The kernel frees both when a user dies: then
// the next user of the file inherits the object, and the last of them removes it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

namespace hobbs::adapters {

class PathResource {
 public:
  /// Opens or creates the file; `create` makes a new object and returns its name (at most 60
  /// characters; empty if the system refuses) and is called if the file has none.
  template <class Create>
  PathResource(const char* path, Create&& create)
      : descriptor_(::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)), user_(::getpid()) {
    lock(kGate, F_WRLCK, F_OFD_SETLKW);
    lock(kUsers, F_RDLCK, F_OFD_SETLKW);
    name_ = read_name();
    if (name_.empty()) {
      name_ = create();
      if (::pwrite(descriptor_, name_.data(), name_.size(), 0) < 0) name_.clear();
    }
    lock(kGate, F_UNLCK, F_OFD_SETLK);
  }
  PathResource(const PathResource&) = delete;
  PathResource& operator=(const PathResource&) = delete;
  ~PathResource() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  /// The object's name; empty if there is none.
  const std::string& name() const { return name_; }

  /// To be called once, when the user is done: calls `remove(name)` if nobody else uses it. A
  /// forked child has no part in its parent's use.
  template <class Remove>
  void leave(Remove&& remove) {
    if (::getpid() != user_ || name_.empty()) return;
    lock(kGate, F_WRLCK, F_OFD_SETLKW);
    if (lock(kUsers, F_WRLCK, F_OFD_SETLK)) {
      remove(name_);
      if (::ftruncate(descriptor_, 0) != 0) std::abort();  // A regular file of ours.
    }
    lock(kUsers, F_UNLCK, F_OFD_SETLK);
    lock(kGate, F_UNLCK, F_OFD_SETLK);
  }

 private:
  static constexpr off_t kUsers = 0, kGate = 1;

  bool lock(off_t byte, short type, int command) {
    struct flock range {};
    range.l_type = type;
    range.l_whence = SEEK_SET;
    range.l_start = byte;
    range.l_len = 1;
    int result;
    do {
      result = ::fcntl(descriptor_, command, &range);
    } while (result != 0 && errno == EINTR);
    return result == 0;
  }
  std::string read_name() const {
    char text[64];
    const ssize_t length = ::pread(descriptor_, text, sizeof text, 0);
    return std::string(text, length > 0 ? static_cast<std::size_t>(length) : 0);
  }

  int descriptor_;
  pid_t user_;
  std::string name_;
};

}  // namespace hobbs::adapters
