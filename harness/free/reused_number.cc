#include "harness/free/reused_number.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>

#include "harness/free/process_namespace.h"
#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

using std::chrono::milliseconds;
using End = Played::End;

constexpr int kNumber = 300;  // The holder's, and then the innocent process's.
// Kernels tell when a process began in ticks of 10 ms: numbers that come round have more between.
constexpr milliseconds kBetween{30};
constexpr milliseconds kPatience{500};
constexpr std::uint64_t kTurns = 5;

/// What the processes of a trial share; the words are futex words.
struct Scene {
  std::atomic<std::uint32_t> held, called, got;
  std::atomic<bool> after_innocent, starved;
  Refusal refusal;
  std::atomic<Outcome> outcome;
  StageLock lock;
};

/// How often the kernel has given a process a processor. Source: sched-stats(5) of the kernel.
std::uint64_t turns_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/schedstat", process));
  std::uint64_t run_ns = 0, runnable_ns = 0, turns = 0;
  file >> run_ns >> runnable_ns >> turns;
  return turns;
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
    if (const char* const refused = make_process_namespace()) refuse(refused);
    const pid_t first = ::fork();
    if (first == 0) play();
    if (first < 0) refuse("fork");
    ::waitpid(first, nullptr, 0);  // The kernel ends the others with it.
    ::_exit(0);
  }

 private:
  [[noreturn]] void refuse(const char* what) { scene_.refusal.tell(what); }

  [[noreturn]] void play() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!mount_own_proc()) refuse("a /proc of its own");
    const pid_t holder = numbered([this] { hold(); });
    if (!wait_for(scene_.held, kStagePatience)) ::_exit(0);
    ::kill(holder, SIGKILL);
    ::waitpid(holder, nullptr, 0);
    const timespec between{0, std::chrono::nanoseconds(kBetween).count()};
    ::nanosleep(&between, nullptr);
    const pid_t innocent = numbered([] {
      for (;;) ::pause();
    });
    const pid_t waiter = ::fork();
    if (waiter == 0) wait_for_lock();
    if (!wait_for(scene_.called, kStagePatience)) ::_exit(0);
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
  pid_t numbered(Body body) {
    const pid_t pid = fork_with_number(kNumber, body);
    if (pid < 0) refuse("the choice of a process number");
    return pid;
  }
  void* object() { return object_of(lock_, scene_.lock.bytes, path_); }
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

Played outcome_of(const Scene& scene, milliseconds patience) {
  if (const std::string refusal = scene.refusal.words(); !refusal.empty()) {
    return {End::kRefused, refusal};
  }
  if (scene.held.load() == 0) return {End::kUnsure, "the first process did not get the free lock"};
  if (scene.got.load() == 0) {
    return {End::kUnsure, "the dead holder's lock was not to be had, whoever had its number"};
  }
  if (!holds(scene.outcome.load())) {
    return {End::kUnsure,
            fmt::format("the waiter was told \"{}\"", to_string(scene.outcome.load()))};
  }
  if (!scene.after_innocent.load()) return {End::kKept, ""};
  if (scene.starved.load()) return {End::kUnsure, "the waiter had no processor"};
  return {End::kBroken, fmt::format("the holder, process {0}, died; another process got the "
                                    "number {0}; the waiter waited until that one was killed, "
                                    "after {1} ms",
                                    kNumber, patience.count())};
}

}  // namespace

bool survives_deaths(const LockSpec& lock) {
  return fits_stage(lock) && lock.claims.crash != CrashBehaviour::kStuck;
}

Played try_reused_number(const LockSpec& lock, const std::string& path, int attempt) {
  RealPlatform::registry();  // Before the processes are forked, so that they share it.
  SharedStage<Scene> scene;
  if (!scene) return {End::kRefused, "no memory"};
  if (lock.home == Home::kMemory) lock.real.construct(scene->lock.bytes, path.c_str());
  const milliseconds patience = kPatience * (1 << attempt);
  const pid_t parent = ::getpid(), supervisor = ::fork();
  if (supervisor == 0) Trial(lock, path, patience, *scene).supervise(parent);
  if (supervisor < 0) return {End::kRefused, "cannot fork"};
  while (::waitpid(supervisor, nullptr, 0) < 0 && errno == EINTR) {
  }
  return outcome_of(*scene, patience);
}

}  // namespace hobbs::gang
