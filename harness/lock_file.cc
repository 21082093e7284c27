#include "harness/lock_file.h"

#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace hobbs {

void remove_what_it_names(int folder, const char* name) {
  constexpr std::string_view kMark = "sysv-semaphore-key:";
  char text[64] = {};
  const int fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0 || !std::string_view(text).starts_with(kMark)) return;
  char* end = nullptr;
  const long key = std::strtol(text + kMark.size(), &end, 10);
  if (end == text + kMark.size() || key == IPC_PRIVATE) return;
  const int set = semget(static_cast<key_t>(key), 0, 0);
  if (set >= 0) semctl(set, 0, IPC_RMID);
}

void remove_what_it_names(const std::string& path) { remove_what_it_names(AT_FDCWD, path.c_str()); }

}  // namespace hobbs
