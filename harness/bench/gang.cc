#include "harness/bench/gang.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include "harness/bench/worker.h"

namespace hobbs::bench {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{15'000};  // For the last call of a round to come back.
constexpr milliseconds kLook{50};          // How often to look whether a worker has died.

void sleep_for(std::chrono::nanoseconds duration) {
  timespec left{.tv_sec = duration.count() / 1'000'000'000,
                .tv_nsec = duration.count() % 1'000'000'000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

}  // namespace

void* map_shared(std::size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "cannot map shared memory");
  }
  return at;
}

void unmap_shared(void* at, std::size_t bytes) { munmap(at, bytes); }

void begin_child(pid_t coordinator) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != coordinator) _exit(1);
  signal(SIGINT, SIG_IGN);
  std::thread([] {}).join();
}

Gang::Gang(Arena& arena, const Tsc& tsc, std::uint32_t processes, std::uint32_t threads)
    : arena_(arena), tsc_(tsc), processes_(processes), threads_(threads) {
  RealPlatform::registry();
  fork_all();
}

Gang::~Gang() { kill_all(); }

void Gang::fork_all() {
  const pid_t coordinator = getpid();
  for (std::uint32_t process = 0; process < processes_; ++process) {
    const pid_t pid = fork();
    if (pid == 0) live(process, coordinator);
    if (pid < 0) {
      const int error = errno;
      kill_all();
      throw std::system_error(error, std::generic_category(), "cannot fork a benchmark's worker");
    }
    children_.push_back(pid);
  }
}

void Gang::kill_all() {
  for (const pid_t pid : children_) kill(pid, SIGKILL);
  for (const pid_t pid : children_) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  children_.clear();
}

void Gang::live(std::uint32_t process, pid_t coordinator) {
  begin_child(coordinator);
  std::vector<std::thread> members;
  for (std::uint32_t thread = 0; thread < threads_; ++thread) {
    members.emplace_back([this, process, thread] { serve(process, thread); });
  }
  for (std::thread& member : members) member.join();
  _exit(0);
}

void Gang::serve(std::uint32_t process, std::uint32_t thread) {
  Mailbox& mailbox = *mailbox_;
  std::atomic<std::uint32_t>& box = mailbox.boxes[process * threads_ + thread].round;
  for (std::uint32_t seen = round_;;) {
    while (box.load() == seen) RealPlatform::futex_wait(box, seen);
    seen = box.load();
    work(arena_, process * mailbox.threads + thread + 1, tsc_);
  }
}

std::string Gang::why_dead() {
  for (pid_t& pid : children_) {
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) != pid) continue;
    pid = children_.back();
    children_.pop_back();
    return WIFSIGNALED(status)
               ? fmt::format("a worker was ended by signal {} ({})", WTERMSIG(status),
                             strsignal(WTERMSIG(status)))
               : fmt::format("a worker ended by itself, with code {}", WEXITSTATUS(status));
  }
  return "";
}

std::string Gang::wait_for(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  const auto until = RealPlatform::now() + kPatience;
  while (true) {
    const std::uint32_t now = word.load();
    if (now == value) return "";
    if (std::string why = why_dead(); !why.empty()) return why;
    if (RealPlatform::now() >= until) {
      return fmt::format("{} of {} workers did not come back from the lock within {} s",
                         value - now, value, kPatience.count() / 1000);
    }
    RealPlatform::futex_wait(word, now, RealPlatform::now() + kLook);
  }
}

std::string Gang::run(Orders orders, std::uint32_t processes, std::uint32_t threads,
                      std::chrono::nanoseconds duration) {
  orders.workers = processes * threads;
  arena_.orders = orders;
  for (auto* word : {&arena_.arrived, &arena_.go, &arena_.started, &arena_.called, &arena_.done,
                     &arena_.finished}) {
    word->store(0);
  }
  arena_.phase.store(Phase::kWarmUp);
  for (PingPong& side : arena_.ping_pong) {
    side.announced.store(0);
    side.entered.store(0);
  }
  for (std::uint32_t i = 0; i < orders.locks; ++i) {
    arena_.guarded[i].entries.store(0);
    arena_.guarded[i].released_ticks.store(0);
    arena_.guarded[i].last_worker.store(0);
  }
  mailbox_->processes = processes;
  mailbox_->threads = threads;
  ++round_;
  for (std::uint32_t process = 0; process < processes; ++process) {
    for (std::uint32_t thread = 0; thread < threads; ++thread) {
      std::atomic<std::uint32_t>& box = mailbox_->boxes[process * threads_ + thread].round;
      box.store(round_);
      RealPlatform::futex_wake(box, 1);
    }
  }
  std::string why = wait_for(arena_.arrived, orders.workers);
  if (why.empty()) {
    count_up(arena_.go);
    // On a crowded machine it takes a while until all of them run: then the round begins.
    why = wait_for(arena_.called, orders.workers);
  }
  if (why.empty()) {
    arena_.counted_from_ticks = ticks();
    arena_.phase.store(Phase::kCounted);
    sleep_for(duration);
    arena_.phase.store(Phase::kOver);
    why = wait_for(arena_.done, orders.workers);
  }
  if (why.empty()) why = wait_for(arena_.finished, 1);
  if (why.empty()) return "";
  kill_all();
  fork_all();
  return why;
}

}  // namespace hobbs::bench
