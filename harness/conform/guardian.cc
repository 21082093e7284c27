#include "harness/conform/guardian.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>

#include "harness/janitor.h"
#include "harness/lock_file.h"

namespace hobbs {
namespace {

constexpr int kMembersMax = 256;
constexpr int kGraceMs = 1500;  // For helpers of agents to leave by themselves.
constexpr int kStepMs = 5;
constexpr int kDepthMax = 64;  // Of directories.
constexpr int kLifeline = STDERR_FILENO + 1;

struct Message {
  char what;  // 's': start a member; 'r': remember `pid`.
  pid_t pid;
};

int pidfd_open(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

/// Removes what is in the directory `fd`, which it closes.
void empty_directory(int fd, int depth) noexcept {
  alignas(std::uint64_t) char buffer[4096];
  struct Entry {
    std::uint64_t inode;
    std::int64_t offset;
    std::uint16_t length;
    std::uint8_t type;
    char name[];
  };
  // Removing entries while reading moves what is left: start over until nothing is left.
  for (bool removed = true; removed && depth < kDepthMax;) {
    removed = false;
    lseek(fd, 0, SEEK_SET);
    long got;
    while ((got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
      for (long at = 0; at < got;) {
        const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
        at += entry->length;
        const char* name = entry->name;
        if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0))) continue;
        remove_what_it_names(fd, name);
        if (unlinkat(fd, name, 0) == 0) {
          removed = true;
          continue;
        }
        const int child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child >= 0) empty_directory(child, depth + 1);
        removed = unlinkat(fd, name, AT_REMOVEDIR) == 0 || removed;
      }
    }
  }
  close(fd);
}

/// Becomes the command. Writes errno to `report` if that fails.
[[noreturn]] void become(char* const* argv, const char* log_path, pid_t guardian,
                         int report) noexcept {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != guardian) _exit(127);  // The guardian died before the line above.
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);  // Refused for some, which are at their default anyway.
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDONLY);
  const int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0) close(STDIN_FILENO);  // The guardian's socket.
  if (log >= 0) {
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
  }
  fcntl(report, F_SETFD, FD_CLOEXEC);
  if (null > report) close(null);
  if (log > report) close(log);
  execvp(argv[0], argv);
  const int why = errno;
  [[maybe_unused]] const ssize_t written = write(report, &why, sizeof why);
  _exit(127);
}

/// Starts a member; its id, or -errno.
pid_t start(char* const* argv, const char* log_path) noexcept {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return -errno;
  const pid_t guardian = getpid();
  const pid_t pid = fork();
  if (pid == 0) become(argv, log_path, guardian, report[1]);
  const int fork_errno = errno;
  close(report[1]);
  int why = 0;
  const bool failed = pid > 0 && read(report[0], &why, sizeof why) == sizeof why;
  close(report[0]);
  if (pid < 0) return -fork_errno;
  if (!failed) return pid;
  waitpid(pid, nullptr, 0);
  return -why;
}

/// Kills all children until none is left. What a dead child leaves behind becomes ours before we
/// can reap the child, so this reaches every descendant.
void end_all(const int* members, int count) noexcept {
  for (int i = 0; i < count; ++i) syscall(SYS_pidfd_send_signal, members[i], SIGKILL, nullptr, 0);
  for (int waited_ms = 0;; waited_ms += kStepMs) {
    pid_t reaped;
    while ((reaped = waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (reaped < 0 && errno == ECHILD) return;
    if (waited_ms >= kGraceMs) {
      char path[] = "/proc/thread-self/children";
      char text[4096];
      const int fd = open(path, O_RDONLY | O_CLOEXEC);
      const ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text);
      if (fd >= 0) close(fd);
      pid_t pid = 0;
      for (ssize_t i = 0; i < got; ++i) {
        if (text[i] >= '0' && text[i] <= '9') {
          pid = pid * 10 + (text[i] - '0');
        } else if (pid > 0) {
          kill(pid, SIGKILL);
          pid = 0;
        }
      }
    }
    poll(nullptr, 0, kStepMs);
  }
}

}  // namespace

void Guardian::guard(int socket) noexcept {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "hobbs-guardian");
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &action, nullptr);  // Ignored, it would reap children behind our back.
  // Keep nothing of the caller's: another guardian's socket kept here would never close, and who
  // reads hobbs's output must see its end. But for the lifeline: the janitor must not clear up
  // while agents live.
  dup2(socket, STDIN_FILENO);
  const int null = open("/dev/null", O_WRONLY);
  dup2(null, STDOUT_FILENO);
  dup2(null, STDERR_FILENO);
  const int lifeline = dup(Janitor::lifeline());
  if (lifeline > kLifeline) dup2(lifeline, kLifeline);
  syscall(SYS_close_range, static_cast<unsigned>(lifeline < 0 ? kLifeline : kLifeline + 1), ~0U,
          0U);
  int members[kMembersMax];
  int count = 0;
  Message message;
  while (recv(STDIN_FILENO, &message, sizeof message, 0) == sizeof message) {
    pid_t answer = 0;
    if (message.what == 's') answer = start(argv_.data(), log_path_.c_str());
    const pid_t member = message.what == 's' ? answer : message.pid;
    if (member > 0) {
      const int fd = count < kMembersMax ? pidfd_open(member) : -1;
      if (fd >= 0) members[count++] = fd;
    }
    send(STDIN_FILENO, &answer, sizeof answer, MSG_NOSIGNAL);
  }
  end_all(members, count);
  const int fd = open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) empty_directory(fd, 0);
  rmdir(directory_.c_str());
  _exit(0);
}

Guardian::Guardian(std::vector<std::string> command, std::string directory, std::string log_path)
    : command_(std::move(command)),
      directory_(std::move(directory)),
      log_path_(std::move(log_path)) {
  for (std::string& word : command_) argv_.push_back(word.data());
  argv_.push_back(nullptr);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot make a socket pair");
  }
  // The guardian must outlive Ctrl-C, which goes to the whole process group.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_ = fork();
  if (pid_ == 0) guard(ends[1]);
  const int why = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(ends[1]);
  socket_ = ends[0];
  if (pid_ < 0) {
    close(socket_);
    throw std::system_error(why, std::generic_category(), "cannot fork");
  }
}

Guardian::~Guardian() {
  shutdown(socket_, SHUT_RDWR);  // Who was forked since has a copy of it.
  close(socket_);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  std::error_code ignored;  // Only if somebody killed the guardian is there anything left.
  std::filesystem::remove_all(directory_, ignored);
}

pid_t Guardian::ask(char what, pid_t pid) {
  const Message message{what, pid};
  pid_t answer = 0;
  ssize_t got = send(socket_, &message, sizeof message, MSG_NOSIGNAL);
  while (got > 0 && (got = recv(socket_, &answer, sizeof answer, 0)) < 0 && errno == EINTR) {
    got = 1;
  }
  if (got != sizeof answer) {
    throw std::system_error(ECHILD, std::generic_category(), "the guardian of the agents is gone");
  }
  return answer;
}

pid_t Guardian::start_member() {
  const pid_t answer = ask('s', 0);
  if (answer < 0) {
    throw std::system_error(-answer, std::generic_category(), "cannot start '" + command_[0] + "'");
  }
  return answer;
}

void Guardian::remember(pid_t pid) { ask('r', pid); }

}  // namespace hobbs
