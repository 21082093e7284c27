#include "harness/free/reused_number.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <system_error>

#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

using std::chrono::milliseconds;

constexpr int kNumber = 300;  // The holder's, and then the innocent process's.
constexpr std::size_t kLockBytes = 1 << 16;
// Kernels tell when a process began in ticks of 10 ms: numbers that come round have more between.
constexpr milliseconds kBetween{30};
constexpr milliseconds kStart{10'000};
constexpr std::uint64_t kTurns = 5;

/// What the processes of a trial share; the words are futex words.
struct Scene {
  std::atomic<std::uint32_t> held, called, got;
  std::atomic<bool> after_innocent, starved;
  std::atomic<int> error;            // Why the namespace could not be made ...
  std::atomic<const char*> refused;  // ... and what was refused.
  std::atomic<Outcome> outcome;
  alignas(4096) unsigned char lock[kLockBytes];
};

void tell(std::atomic<std::uint32_t>& word) {
  word.store(1);
  RealPlatform::futex_wake(word, INT32_MAX);
}

bool wait_for(std::atomic<std::uint32_t>& word, milliseconds patience) {
  const auto until = RealPlatform::now() + patience;
  while (word.load() == 0) {
    if (RealPlatform::now() >= until) return false;
    RealPlatform::futex_wait(word, 0, until);
  }
  return true;
}

/// How often the kernel has given a process a processor. Source: sched-stats(5) of the kernel.
std::uint64_t turns_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/schedstat", process));
  std::uint64_t run_ns = 0, runnable_ns = 0, turns = 0;
  file >> run_ns >> runnable_ns >> turns;
  return turns;
}

bool is_asleep(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');  // A name may have spaces and brackets in it.
  return name_end != std::string::npos && text.substr(name_end, 3) == ") S";
}

bool write_file(const char* path, const std::string& text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool done = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  ::close(file);
  errno = error;
  return done;
}

/// One trial's processes: a supervisor outside, and inside the namespace its first process, the
/// holder, the innocent one and the waiter.
class Trial {
 public:
  Trial(const LockSpec& lock, std::string path, milliseconds patience, Scene& scene)
      : lock_(lock), path_(std::move(path)), patience_(patience), scene_(scene) {}

  [[noreturn]] void supervise(pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    make_namespace();
    const pid_t first = ::fork();
    if (first == 0) play();
    if (first < 0) refuse("fork");
    ::waitpid(first, nullptr, 0);  // The kernel ends the others with it.
    ::_exit(0);
  }

 private:
  [[noreturn]] void refuse(const char* what) {
    scene_.error.store(errno);
    scene_.refused.store(what);
    ::_exit(1);
  }

  /// As root, or as root of a user namespace.
  void make_namespace() {
    if (::unshare(CLONE_NEWPID | CLONE_NEWNS) == 0) return;
    const uid_t user = ::getuid();
    const gid_t group = ::getgid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0)
      refuse("a process id namespace");
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", fmt::format("0 {} 1", user));
    write_file("/proc/self/gid_map", fmt::format("0 {} 1", group));
  }

  [[noreturn]] void play() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
      refuse("a /proc of its own");
    }
    const pid_t holder = fork_with_number([this] { hold(); });
    if (!wait_for(scene_.held, kStart)) ::_exit(0);
    ::kill(holder, SIGKILL);
    ::waitpid(holder, nullptr, 0);
    const timespec between{0, std::chrono::nanoseconds(kBetween).count()};
    ::nanosleep(&between, nullptr);
    const pid_t innocent = fork_with_number([] {
      for (;;) ::pause();
    });
    const pid_t waiter = ::fork();
    if (waiter == 0) wait_for_lock();
    if (!wait_for(scene_.called, kStart)) ::_exit(0);
    const std::uint64_t turns = turns_of(waiter);
    if (!wait_for(scene_.got, patience_)) {
      // One that neither sleeps nor had a processor has waited for that.
      scene_.starved.store(!is_asleep(waiter) && turns_of(waiter) < turns + kTurns);
      ::kill(innocent, SIGKILL);
      ::waitpid(innocent, nullptr, 0);
      scene_.after_innocent.store(true);
      wait_for(scene_.got, patience_);
    }
    ::_exit(0);
  }

  template <class Body>
  pid_t fork_with_number(Body body) {
    if (!write_file("/proc/sys/kernel/ns_last_pid", std::to_string(kNumber - 1))) {
      refuse("the choice of a process number");
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
      body();
      ::_exit(0);
    }
    if (pid != kNumber) refuse("that process number");
    return pid;
  }

  /// This process's object of the lock; what it allocates lives as long as the process.
  void* object() {
    if (lock_.home == Home::kMemory) return scene_.lock;
    const std::size_t align = std::max<std::size_t>(lock_.real.align, 64);
    void* const at = ::operator new(lock_.real.size, std::align_val_t(align));
    std::memset(at, 0, lock_.real.size);
    lock_.real.construct(at, path_.c_str());
    return at;
  }
  void hold() {
    RealPlatform::attach(1);
    if (!holds(lock_.real.acquire(object()))) return;
    tell(scene_.held);
    for (;;) ::pause();
  }
  [[noreturn]] void wait_for_lock() {
    RealPlatform::attach(2);
    void* const lock = object();
    tell(scene_.called);
    scene_.outcome.store(lock_.real.acquire(lock));
    tell(scene_.got);
    for (;;) ::pause();
  }

  const LockSpec& lock_;
  const std::string path_;
  const milliseconds patience_;
  Scene& scene_;
};

ReuseTrial outcome_of(const Scene& scene) {
  using End = ReuseTrial::End;
  if (scene.refused.load() != nullptr) {
    return {End::kRefused, fmt::format("the system refuses {}: {}", scene.refused.load(),
                                       std::generic_category().message(scene.error.load()))};
  }
  if (scene.held.load() == 0) return {End::kUnsure, "the first process did not get the free lock"};
  if (scene.got.load() == 0) {
    return {End::kUnsure, "the dead holder's lock was not to be had, whoever had its number"};
  }
  if (!holds(scene.outcome.load())) {
    return {End::kUnsure,
            fmt::format("the waiter was told \"{}\"", to_string(scene.outcome.load()))};
  }
  if (!scene.after_innocent.load()) return {End::kRecovered, ""};
  if (scene.starved.load()) return {End::kUnsure, "the waiter had no processor"};
  return {End::kMistaken, fmt::format("the holder, process {0}, died; another process got the "
                                      "number {0}; the waiter waited until that one was killed",
                                      kNumber)};
}

}  // namespace

bool survives_deaths(const LockSpec& lock) {
  return lock.claims.process_shared && lock.claims.crash != CrashBehaviour::kStuck &&
         lock.real.available() && lock.real.size <= kLockBytes;
}

ReuseTrial try_reused_number(const LockSpec& lock, const std::string& path, milliseconds patience) {
  RealPlatform::registry();  // Before the processes are forked, so that they share it.
  void* const at =
      ::mmap(nullptr, sizeof(Scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return {ReuseTrial::End::kRefused, "no memory"};
  Scene& scene = *new (at) Scene();
  if (lock.home == Home::kMemory) lock.real.construct(scene.lock, path.c_str());
  ReuseTrial trial;
  const pid_t parent = ::getpid(), supervisor = ::fork();
  if (supervisor == 0) Trial(lock, path, patience, scene).supervise(parent);
  if (supervisor < 0) {
    trial = {ReuseTrial::End::kRefused, "cannot fork"};
  } else {
    while (::waitpid(supervisor, nullptr, 0) < 0 && errno == EINTR) {
    }
    trial = outcome_of(scene);
  }
  ::munmap(at, sizeof(Scene));
  return trial;
}

}  // namespace hobbs::gang
