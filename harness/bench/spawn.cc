#include "harness/bench/spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hobbs::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kErrorsMax = 2000;
constexpr int kExecFailed = 127;

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    if (pipe2(ends, O_CLOEXEC) != 0) ends[0] = ends[1] = -1;
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int which) {
    if (ends[which] >= 0) close(ends[which]);
    ends[which] = -1;
  }
};

[[noreturn]] void become(const std::vector<std::string>& words, const Pipe& out, const Pipe& errors,
                         pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExecFailed);
  dup2(out.ends[1], STDOUT_FILENO);
  dup2(errors.ends[1], STDERR_FILENO);
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  const std::string sentence = fmt::format("cannot run {}: {}", words[0], std::strerror(errno));
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, sentence.data(), sentence.size());
  _exit(kExecFailed);
}

/// Appends what is there; false at the end.
bool take(int fd, std::string& into) {
  char buffer[65536];
  const ssize_t n = read(fd, buffer, sizeof buffer);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  into.append(buffer, static_cast<std::size_t>(n));
  return n > 0;
}

/// Reads both until they end; false if that takes longer than until then.
bool drain(Pipe& out, Pipe& errors, Spawned& into, Clock::time_point until) {
  while (out.ends[0] >= 0 || errors.ends[0] >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) return false;
    pollfd both[] = {{out.ends[0], POLLIN, 0}, {errors.ends[0], POLLIN, 0}};
    if (poll(both, 2, static_cast<int>(left.count())) <= 0) continue;
    if (both[0].revents != 0 && !take(out.ends[0], into.out)) out.close_end(0);
    if (both[1].revents != 0 && !take(errors.ends[0], into.errors)) errors.close_end(0);
    if (into.errors.size() > kErrorsMax) {
      into.errors.erase(0, into.errors.size() - kErrorsMax);
    }
  }
  return true;
}

}  // namespace

Spawned run_program(const std::vector<std::string>& words, std::chrono::milliseconds patience) {
  Spawned result;
  Pipe out;
  Pipe errors;
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) become(words, out, errors, parent);
  if (pid < 0) {
    result.failure = fmt::format("cannot fork: {}", std::strerror(errno));
    return result;
  }
  out.close_end(1);
  errors.close_end(1);
  const bool ended = drain(out, errors, result, Clock::now() + patience);
  if (!ended) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) {
    result.failure = fmt::format("{} did not end within {} s", words[0], patience.count() / 1000);
  } else if (WIFEXITED(status)) {
    result.exit_code = WEXITSTATUS(status);
    if (result.exit_code == kExecFailed) result.failure = result.errors;
  } else {
    result.failure =
        fmt::format("{} was ended by signal {}: {}", words[0], WTERMSIG(status), result.errors);
  }
  return result;
}

}  // namespace hobbs::bench
