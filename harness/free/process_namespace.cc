#include "harness/free/process_namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <system_error>

namespace hobbs::gang {
namespace {

bool write_file(const char* path, const std::string& text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool done = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  ::close(file);
  errno = error;
  return done;
}

}  // namespace

void Refusal::tell(const char* what) {
  error_.store(errno);
  what_.store(what);
  ::_exit(1);
}

std::string Refusal::words() const {
  if (what_.load() == nullptr) return "";
  return fmt::format("the system refuses {}: {}", what_.load(),
                     std::generic_category().message(error_.load()));
}

const char* make_process_namespace() {
  if (::unshare(CLONE_NEWPID | CLONE_NEWNS) == 0) return nullptr;
  const uid_t user = ::getuid();
  const gid_t group = ::getgid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0) return "a process id namespace";
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", fmt::format("0 {} 1", user));
  write_file("/proc/self/gid_map", fmt::format("0 {} 1", group));
  return nullptr;
}

bool mount_own_proc() {
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

bool internal::choose_next_number(pid_t number) {
  return write_file("/proc/sys/kernel/ns_last_pid", std::to_string(number - 1));
}

}  // namespace hobbs::gang
