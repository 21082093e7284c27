#include "harness/janitor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "harness/lock_file.h"

namespace hobbs {
namespace {

namespace fs = std::filesystem;

constexpr int kPatienceMs = 3000;  // For survivors to die by themselves before they are killed.
constexpr std::uint64_t kSpaceMin = 1 << 20;  // Bytes.
constexpr int kRoundsMax = 30;                // Of killing; what is left then cannot be killed.

/// Kills every process that has the pipe open. Those are descendants of the call: nobody else
/// can have inherited it.
void kill_holders(int pipe_fd) {
  std::error_code error;
  const std::string link = fs::read_symlink("/proc/self/fd/" + std::to_string(pipe_fd), error);
  if (error) return;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string name = process.path().filename();
    char* end = nullptr;
    const long pid = std::strtol(name.c_str(), &end, 10);
    if (*end != '\0' || pid <= 1 || pid == getpid()) continue;
    std::error_code ignored;
    for (const auto& fd : fs::directory_iterator(process.path() / "fd", ignored)) {
      if (fs::read_symlink(fd.path(), ignored) == link) {
        kill(static_cast<pid_t>(pid), SIGKILL);
        break;
      }
    }
  }
}

/// Waits until nobody has the pipe open for writing; false if that did not come within
/// `timeout_ms`.
bool wait_for_end(int pipe_fd, int timeout_ms) {
  pollfd waiting{pipe_fd, 0, 0};  // The end is always told.
  while (true) {
    const int ready = poll(&waiting, 1, timeout_ms);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

void remove_everything(const std::string& directory) {
  std::error_code error;
  // Scenarios take permissions away; the owner can always give them back.
  for (auto it = fs::recursive_directory_iterator(
           directory, fs::directory_options::skip_permission_denied, error);
       it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored) && !it->is_symlink(ignored)) {
      fs::permissions(it->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
    } else if (it->is_regular_file(ignored) && !it->is_symlink(ignored)) {
      remove_what_it_names(it->path());
    }
  }
  fs::remove_all(directory, error);
  const std::string name = fs::path(directory).filename();
  for (const auto& entry : fs::directory_iterator("/dev/shm", error)) {
    if (entry.path().filename().string().find(name) != std::string::npos) {
      std::error_code ignored;
      fs::remove_all(entry.path(), ignored);
    }
  }
}

/// Closes every descriptor but two, `low` < `high`.
void close_all_but(int low, int high) {
  if (low > 0) close_range(0, static_cast<unsigned>(low) - 1, 0);
  if (high - low > 1) {
    close_range(static_cast<unsigned>(low) + 1, static_cast<unsigned>(high) - 1, 0);
  }
  close_range(static_cast<unsigned>(high) + 1, ~0u, 0);
}

/// Waits until nobody of the call is left, and sees to it once the call itself is over.
void outlive(int pipe_fd, int parent_pidfd) {
  pollfd waiting[2] = {{pipe_fd, POLLIN, 0}, {parent_pidfd, POLLIN, 0}};
  while (poll(waiting, 2, -1) < 0 && errno == EINTR) {
  }
  // A process that is forked while others are being killed is met in the next round.
  for (int round = 0; round < kRoundsMax && !wait_for_end(pipe_fd, kPatienceMs); ++round) {
    kill_holders(pipe_fd);
  }
}

/// Locks on paths would be accused of what a full disk does to them.
bool has_space(const std::string& directory) {
  struct statvfs info {};
  return statvfs(directory.c_str(), &info) != 0 ||
         info.f_bavail * std::uint64_t{info.f_frsize} >= kSpaceMin;
}

/// Makes the directory and tells its name, or that and why it cannot: an errno, then the name.
/// Every signal but SIGKILL is blocked here, and that is sent to groups too (timeout, CI runners):
/// in a session of its own only the work's end ends the janitor.
[[noreturn]] void run_janitor(int pipe_fd, int parent_pidfd, int ready_fd, std::string directory) {
  setsid();
  prctl(PR_SET_NAME, "hobbs-janitor");
  int error = mkdtemp(directory.data()) == nullptr ? errno : 0;
  if (error == 0 && !has_space(directory)) {
    rmdir(directory.c_str());
    error = ENOSPC;
  }
  std::string told(reinterpret_cast<const char*>(&error), sizeof error);
  told += directory;
  // Who does not read it has been killed, and the pipe tells that too.
  [[maybe_unused]] const ssize_t written = write(ready_fd, told.data(), told.size());
  if (error != 0) _exit(1);
  // Nothing of the caller's may stay open here: whoever reads from it would wait for the janitor.
  close_all_but(std::min(pipe_fd, parent_pidfd), std::max(pipe_fd, parent_pidfd));
  outlive(pipe_fd, parent_pidfd);
  remove_everything(directory);
  _exit(0);
}

/// What run_janitor() tells. Throws std::system_error.
std::string read_directory(int ready_fd) {
  int error = 0;
  char told[sizeof error + PATH_MAX];
  ssize_t length;
  while ((length = read(ready_fd, told, sizeof told)) < 0 && errno == EINTR) {
  }
  if (length <= static_cast<ssize_t>(sizeof error)) error = ECHILD;
  if (error == 0) std::memcpy(&error, told, sizeof error);
  if (error != 0) {
    throw std::system_error(error, std::generic_category(),
                            "cannot make a scratch directory in " + scratch_directory());
  }
  return std::string(told + sizeof error, static_cast<std::size_t>(length) - sizeof error);
}

/// A pipe that closes with its scope.
struct Pipe {
  int ends[2];
  Pipe() {
    if (pipe2(ends, O_CLOEXEC) != 0)
      throw std::system_error(errno, std::generic_category(), "pipe");
  }
  ~Pipe() {
    for (const int end : ends) {
      if (end >= 0) close(end);
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int take(int which) { return std::exchange(ends[which], -1); }
};

}  // namespace

std::string scratch_directory() {
  for (const char* name : {"TEST_TMPDIR", "TMPDIR"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "/tmp";
}

Janitor::Janitor() {
  const std::string pattern =
      scratch_directory() + "/hobbs-" + std::to_string(getpid()) + "-XXXXXX";
  Pipe lifeline;
  Pipe ready;
  fcntl(lifeline.ends[1], F_SETFD, 0);  // Programs that are started hold it too.
  const int self = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  // A Ctrl-C for the whole group must find the janitor deaf or not yet there.
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  pid_ = fork();
  if (pid_ == 0) {
    close(lifeline.take(1));
    run_janitor(lifeline.ends[0], self, ready.ends[1], pattern);
  }
  const int failed = pid_ < 0 ? errno : 0;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (self >= 0) close(self);
  if (failed != 0) throw std::system_error(failed, std::generic_category(), "fork");
  close(ready.take(1));
  try {
    directory_ = read_directory(ready.ends[0]);
  } catch (const std::system_error&) {
    close(lifeline.take(1));
    wait_for_janitor();
    throw;
  }
  lifeline_ = call_lifeline_ = lifeline.take(1);
  setenv(kScratchName, fs::path(directory_).filename().c_str(), 1);
}

void Janitor::wait_for_janitor() const {
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Janitor::~Janitor() {
  // Says that the work is done: whoever holds the lifeline now was left behind.
  while (write(lifeline_, "", 1) < 0 && errno == EINTR) {
  }
  close(lifeline_);
  call_lifeline_ = -1;
  wait_for_janitor();
}

}  // namespace hobbs
