// A kernel object that goes by a name of its own (a semaphore set, a shared memory object), made
// to live as long as somebody has a file open: the file says its name, and the last one out
// removes it. The name is in the file before the object is made, after a mark of what it is a name
// of, so that whoever finds the file after everybody was killed can tell what to remove.
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
#include <string_view>

namespace hobbs::adapters {

class PathResource {
 public:
  /// Opens or creates the file; `new_name` gives the name (at most 200 characters with the mark)
  /// under which to make the object, and `make(name)`, called with that name or with the one that
  /// was there, makes the object unless it is there; false if the system refuses.
  template <class NewName, class Make>
  PathResource(const char* path, std::string_view mark, NewName&& new_name, Make&& make)
      : descriptor_(::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)), user_(::getpid()) {
    lock(kGate, F_WRLCK, F_OFD_SETLKW);
    lock(kUsers, F_RDLCK, F_OFD_SETLKW);
    std::string text = read_text();
    if (text.empty() || !text.starts_with(mark)) {
      text = std::string(mark) + new_name();
      if (::pwrite(descriptor_, text.data(), text.size(), 0) < 0) text.clear();
    }
    if (!text.empty() && make(text.substr(mark.size()))) name_ = text.substr(mark.size());
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
  static constexpr std::size_t kNameMax = 200;

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
  std::string read_text() const {
    char text[kNameMax];
    const ssize_t length = ::pread(descriptor_, text, sizeof text, 0);
    return std::string(text, length > 0 ? static_cast<std::size_t>(length) : 0);
  }

  int descriptor_;
  pid_t user_;
  std::string name_;
};

}  // namespace hobbs::adapters
