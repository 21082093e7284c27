#include "harness/foreign/connections.h"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace hobbs::foreign {
namespace {

/// By a copy of the descriptor: only a process that has it can ask who is at the other end.
bool leads_to(int pidfd, int number, const std::string& path) {
  const int copy = static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, number, 0));
  if (copy < 0) return false;
  sockaddr_un peer{};
  socklen_t size = sizeof peer - 1;
  const bool found = ::getpeername(copy, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
                     peer.sun_family == AF_UNIX && path == peer.sun_path;
  ::close(copy);
  return found;
}

}  // namespace

std::vector<std::uint64_t> sockets_to(pid_t process, const std::string& path) {
  std::vector<std::uint64_t> sockets;
  const std::string folder = "/proc/" + std::to_string(process) + "/fd";
  DIR* const directory = ::opendir(folder.c_str());
  if (directory == nullptr) return sockets;
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
  while (const dirent* entry = ::readdir(directory)) {
    char target[64] = {};
    const std::string link = folder + "/" + entry->d_name;
    if (::readlink(link.c_str(), target, sizeof target - 1) < 0) continue;
    if (std::strncmp(target, "socket:", 7) != 0) continue;
    const int number = std::atoi(entry->d_name);
    if (leads_to(pidfd, number, path)) sockets.push_back(static_cast<std::uint64_t>(number));
  }
  ::closedir(directory);
  if (pidfd >= 0) ::close(pidfd);
  return sockets;
}

}  // namespace hobbs::foreign
