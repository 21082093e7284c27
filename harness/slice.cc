#include "harness/slice.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <system_error>

#include "reports/json.h"

namespace hobbs {
namespace {

constexpr std::size_t kLastWordsMax = 2000;

// A message is one line: its kind, then the rest.
constexpr char kProgress = 'P';
constexpr char kFound = 'F';
constexpr char kDone = 'D';
constexpr char kError = 'E';

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // The campaign is gone, and we are about to go with it.
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

void send(int fd, char kind, std::string_view text) {
  std::string line(1, kind);
  line += text;
  std::replace(line.begin(), line.end(), '\n', ' ');
  line += '\n';
  write_all(fd, line);
}

/// The surroundings of the lock under test: nothing it does may reach the user's terminal, and
/// nothing it starts may outlive the campaign.
void settle_in(pid_t parent, int output, const sigset_t& signals) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  // Where that is allowed, System V objects of its own, which end with it, whoever knows of them;
  // elsewhere only those go of which the janitor knows.
  unshare(CLONE_NEWIPC);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  // If the lock under test eats all memory, let the kernel take it and not its neighbours.
  if (const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); fd >= 0) {
    write_all(fd, "1000");
    close(fd);
  }
  if (const int null = open("/dev/null", O_RDONLY | O_CLOEXEC); null >= 0) dup2(null, 0);
  dup2(output, 1);
  dup2(output, 2);
  signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &signals, nullptr);
}

[[noreturn]] void run_child(const SliceWork& work, int messages) {
  SliceChannel channel;
  channel.progress = [messages](std::string_view text) { send(messages, kProgress, text); };
  channel.found = [messages](const Result& result) {
    send(messages, kFound, to_json(std::vector<Result>{result}));
  };
  try {
    send(messages, kDone, to_json(work(channel)));
  } catch (const std::exception& error) {
    send(messages, kError, error.what());
  }
  // No destructors: the driver's threads and the lock's memory may be in any state.
  _exit(0);
}

std::string tail_of(int fd) {
  const off_t size = lseek(fd, 0, SEEK_END);
  if (size <= 0) return {};
  const off_t from = std::max<off_t>(0, size - static_cast<off_t>(kLastWordsMax));
  std::string text(static_cast<std::size_t>(size - from), '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), from);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

}  // namespace

bool is_crash(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE;
}

std::string signal_words(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? "signal " + std::to_string(signal) : std::string("SIG") + name;
}

std::string ending_words(const SliceEnd& end) {
  return end.signal != 0 ? signal_words(end.signal) : "exit status " + std::to_string(end.status);
}

Slice::Slice(const SliceWork& work, const sigset_t& child_signals) : started_(Clock::now()) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  // Appending, or the tail that two processes write would overlap.
  output_ = memfd_create("hobbs-output", MFD_CLOEXEC);
  if (output_ < 0) throw std::system_error(errno, std::generic_category(), "memfd_create");
  fcntl(output_, F_SETFL, O_APPEND);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) {
    close(ends[0]);
    settle_in(parent, output_, child_signals);
    run_child(work, ends[1]);
  }
  close(ends[1]);
  messages_ = ends[0];
  fcntl(messages_, F_SETFL, O_NONBLOCK);
}

Slice::~Slice() {
  if (messages_ >= 0) close(messages_);
  if (output_ >= 0) close(output_);
}

void Slice::wait_readable(int timeout_ms) const {
  pollfd waiting{messages_, POLLIN, 0};
  poll(&waiting, 1, timeout_ms);
}

void Slice::read_messages() {
  char buffer[65536];
  while (true) {
    const ssize_t n = read(messages_, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    unread_.append(buffer, static_cast<std::size_t>(n));
  }
  std::size_t begin = 0;
  for (std::size_t end = unread_.find('\n'); end != std::string::npos;
       end = unread_.find('\n', begin)) {
    take(std::string_view(unread_).substr(begin, end - begin));
    begin = end + 1;
  }
  unread_.erase(0, begin);
}

void Slice::take(std::string_view line) {
  if (line.empty()) return;
  const std::string_view text = line.substr(1);
  if (line[0] == kProgress) {
    progress_ = text;
  } else if (line[0] == kError) {
    end_.error = text;
  } else if (line[0] == kFound || line[0] == kDone) {
    ResultsParse parsed = parse_results(text);
    if (line[0] == kDone) {
      end_.results.clear();  // The final list has all of them.
      end_.clean = parsed.error.empty();
    }
    end_.error = parsed.error;
    for (Result& result : parsed.results) end_.results.push_back(std::move(result));
  }
}

void Slice::kill() { ::kill(pid_, SIGKILL); }

SliceEnd Slice::finish(int wait_status) {
  read_messages();
  if (WIFSIGNALED(wait_status)) {
    end_.signal = WTERMSIG(wait_status);
    end_.clean = false;
  } else {
    end_.status = WEXITSTATUS(wait_status);
    end_.clean = end_.clean && end_.status == 0;
  }
  if (!end_.clean) end_.last_words = tail_of(output_);
  return std::move(end_);
}

}  // namespace hobbs
