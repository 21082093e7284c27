#include "harness/bench/crash_recovery.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <new>

#include "harness/bench/gang.h"
#include "harness/bench/worker.h"
#include "locks/real_platform.h"

namespace hobbs::bench {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{5'000};
constexpr milliseconds kUntilAsleep{3};  // A waiter that sleeps does so by then.

struct Scene {
  std::atomic<std::uint32_t> held{0};  // Futex words.
  std::atomic<std::uint32_t> waiting{0};
  std::atomic<std::uint32_t> got{0};
  std::uint64_t got_ticks = 0;
  Outcome outcome = Outcome::kBusy;
  alignas(4096) unsigned char lock[kLockAreaBytes];
};

/// A forked process that is gone when this is.
class Child {
 public:
  explicit Child(const std::function<void()>& body) : pid_(fork_it(body)) {}
  ~Child() { end(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  bool forked() const { return pid_ > 0; }
  void kill_now() const { ::kill(pid_, SIGKILL); }
  void end() {
    if (pid_ <= 0) return;
    kill_now();
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

 private:
  static pid_t fork_it(const std::function<void()>& body) {
    const pid_t coordinator = getpid();
    const pid_t pid = fork();
    if (pid != 0) return pid;
    begin_child(coordinator);
    body();
    _exit(0);
  }

  pid_t pid_;
};

/// The lock's object for this process; what it allocates lives as long as the process.
void* object_of(const LockSpec& lock, Scene& scene, const std::string& path) {
  if (lock.home == Home::kMemory) return scene.lock;
  const std::size_t bytes = lock_stride(lock.real);
  void* at = ::operator new(bytes, std::align_val_t(std::max(kLine, lock.real.align)));
  std::memset(at, 0, bytes);
  lock.real.construct(at, path.c_str());
  return at;
}

bool wait_for_one(std::atomic<std::uint32_t>& word) {
  const auto until = RealPlatform::now() + kPatience;
  while (word.load() == 0) {
    if (RealPlatform::now() >= until) return false;
    RealPlatform::futex_wait(word, 0, until);
  }
  return true;
}

void hold(const LockSpec& lock, Scene& scene, const std::string& path) {
  RealPlatform::attach(1);
  if (!holds(lock.real.acquire(object_of(lock, scene, path)))) return;
  count_up(scene.held);
  while (true) pause();
}

void wait_for_lock(const LockSpec& lock, Scene& scene, const std::string& path) {
  RealPlatform::attach(2);
  void* at = object_of(lock, scene, path);
  count_up(scene.waiting);
  scene.outcome = lock.real.acquire(at);
  scene.got_ticks = ticks();
  if (holds(scene.outcome)) lock.real.release(at);
  count_up(scene.got);
  if (lock.home == Home::kPath) lock.real.destroy(at);  // The last one out removes what it named.
}

/// One death; returns empty or the error.
std::string one(const LockSpec& lock, const Tsc& tsc, const std::string& path, Histogram& into) {
  const SharedMemory<Scene> scene;
  if (lock.home == Home::kMemory) lock.real.construct(scene->lock, path.c_str());
  Child holder([&] { hold(lock, *scene, path); });
  if (!holder.forked()) return "cannot fork";
  if (!wait_for_one(scene->held)) return "the first process did not get the free lock within 5 s";
  Child waiter([&] { wait_for_lock(lock, *scene, path); });
  if (!waiter.forked()) return "cannot fork";
  if (!wait_for_one(scene->waiting)) return "the second process did not start within 5 s";
  const timespec until_asleep{.tv_sec = 0,
                              .tv_nsec = std::chrono::nanoseconds(kUntilAsleep).count()};
  nanosleep(&until_asleep, nullptr);
  if (scene->got.load() != 0) return "the second process got the lock while the first held it";
  const std::uint64_t killed_ticks = ticks();
  holder.kill_now();
  if (!wait_for_one(scene->got)) return "the waiter did not get the dead holder's lock within 5 s";
  if (!holds(scene->outcome)) {
    return fmt::format("the waiter was told '{}'", to_string(scene->outcome));
  }
  into.record(tsc.to_ns(killed_ticks, scene->got_ticks));
  return "";
}

}  // namespace

Recovery measure_recovery(const LockSpec& lock, const Tsc& tsc, const std::string& path,
                          std::uint32_t deaths) {
  RealPlatform::registry();
  Recovery result;
  for (std::uint32_t i = 0; i < deaths && result.error.empty(); ++i) {
    result.error = one(lock, tsc, fmt::format("{}-{}", path, i), result.recovery_ns);
  }
  return result;
}

}  // namespace hobbs::bench
