#include "harness/bench/spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "harness/bench/turns.h"

namespace hobbs::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kErrorsMax = 2000;
constexpr int kExecFailed = 127;

struct Pair {
  int ends[2] = {-1, -1};
  Pair() = default;
  ~Pair() {
    close_end(0);
    close_end(1);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  void close_end(int which) {
    if (ends[which] >= 0) close(ends[which]);
    ends[which] = -1;
  }
};

[[noreturn]] void become(const std::vector<std::string>& words, int in, const Pair& out,
                         const Pair& errors, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExecFailed);
  if (in >= 0) dup2(in, STDIN_FILENO);
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

/// A program that runs.
class Running {
 public:
  /// `with_turns`: its standard input is a socket on which it asks for turns.
  Running(const std::vector<std::string>& words, bool with_turns) : name_(words[0]) {
    if (pipe2(out_.ends, O_CLOEXEC) != 0 || pipe2(errors_.ends, O_CLOEXEC) != 0 ||
        (with_turns && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, turns_.ends) != 0)) {
      result_.failure = fmt::format("cannot talk with {}: {}", name_, std::strerror(errno));
      close_ends(0);
      return;
    }
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) become(words, turns_.ends[1], out_, errors_, parent);
    if (pid_ < 0) result_.failure = fmt::format("cannot fork: {}", std::strerror(errno));
    close_ends(1);
    if (pid_ < 0) close_ends(0);
  }

  bool open() const { return out_.ends[0] >= 0 || errors_.ends[0] >= 0; }
  int turns() const { return turns_.ends[0]; }

  static constexpr int kPolls = 3;
  void polls(pollfd* into) const {
    into[0] = {out_.ends[0], POLLIN, 0};
    into[1] = {errors_.ends[0], POLLIN, 0};
    into[2] = {turns_.ends[0], POLLIN, 0};
  }

  /// Takes what came. Returns whether it asked for a turn.
  bool hear(const pollfd* polled) {
    if (polled[0].revents != 0 && !take(out_.ends[0], result_.out)) out_.close_end(0);
    if (polled[1].revents != 0 && !take(errors_.ends[0], result_.errors)) errors_.close_end(0);
    if (result_.errors.size() > kErrorsMax) {
      result_.errors.erase(0, result_.errors.size() - kErrorsMax);
    }
    if (polled[2].revents == 0) return false;
    if (hear_asker(turns_.ends[0])) return true;
    turns_.close_end(0);
    return false;
  }

  /// Ends it, if it has not ended, and says what became of it.
  Spawned end(std::chrono::milliseconds patience) {
    if (pid_ <= 0) return result_;
    const bool ended = !open();
    if (!ended) kill(pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    if (!ended) {
      result_.failure = fmt::format("{} did not end within {} s", name_, patience.count() / 1000);
    } else if (WIFEXITED(status)) {
      result_.exit_code = WEXITSTATUS(status);
      if (result_.exit_code == kExecFailed) result_.failure = result_.errors;
    } else {
      result_.failure =
          fmt::format("{} was ended by signal {}: {}", name_, WTERMSIG(status), result_.errors);
    }
    return result_;
  }

 private:
  void close_ends(int which) {
    for (Pair* pair : {&out_, &errors_, &turns_}) pair->close_end(which);
  }

  std::string name_;
  Spawned result_;
  Pair out_;  // Pipes; our end is the first.
  Pair errors_;
  Pair turns_;  // A socket.
  pid_t pid_ = -1;
};

/// Milliseconds until then, none if it is over.
int left_ms(Clock::time_point until) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
  return static_cast<int>(std::max<std::int64_t>(0, left.count()));
}

}  // namespace

Spawned run_program(const std::vector<std::string>& words, std::chrono::milliseconds patience) {
  Running program(words, false);
  const Clock::time_point until = Clock::now() + patience;
  while (program.open() && left_ms(until) > 0) {
    pollfd polled[Running::kPolls];
    program.polls(polled);
    if (poll(polled, Running::kPolls, left_ms(until)) > 0) program.hear(polled);
  }
  return program.end(patience);
}

std::pair<Spawned, Spawned> run_in_turns(const std::vector<std::string>& first,
                                         const std::vector<std::string>& second,
                                         std::chrono::milliseconds patience) {
  Running programs[] = {Running(first, true), Running(second, true)};
  Turns turns;
  const Clock::time_point until = Clock::now() + patience;
  while ((programs[0].open() || programs[1].open()) && left_ms(until) > 0) {
    pollfd polled[2 * Running::kPolls];
    for (int side : {0, 1}) programs[side].polls(polled + side * Running::kPolls);
    if (poll(polled, 2 * Running::kPolls, left_ms(until)) <= 0) continue;
    for (int side : {0, 1}) {
      if (programs[side].hear(polled + side * Running::kPolls)) turns.asks(side);
      if (programs[side].turns() < 0) turns.leaves(side);
    }
    if (const std::optional<int> side = turns.next()) grant_turn(programs[*side].turns());
  }
  return {programs[0].end(patience), programs[1].end(patience)};
}

}  // namespace hobbs::bench
