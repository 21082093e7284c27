#include "harness/lock_file.h"

#include <fcntl.h>
#include <sys/sem.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace hobbs {

void remove_what_it_names(const std::string& path) {
  constexpr std::string_view kMark = "sysv-semaphore:";
  char text[64] = {};
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0 || !std::string_view(text).starts_with(kMark)) return;
  char* end = nullptr;
  const long id = std::strtol(text + kMark.size(), &end, 10);
  if (end != text + kMark.size()) semctl(static_cast<int>(id), 0, IPC_RMID);
}

}  // namespace hobbs
