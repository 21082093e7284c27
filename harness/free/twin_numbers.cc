#include "harness/free/twin_numbers.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "harness/free/process_namespace.h"
#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

using std::chrono::milliseconds;
using End = Played::End;

constexpr pid_t kNumber = 300;
constexpr std::int64_t kTriesForNs = 20'000'000;

/// What the processes of a trial share; the words are futex words.
struct Scene {
  std::atomic<std::uint32_t> held, tried, released, got;
  std::atomic<std::uint32_t> gave_up;  // The holder waited in vain for the try, and left.
  std::atomic<Outcome> outcome;        // Of the twin's try while the other holds.
  std::atomic<bool> misused;           // The twin's release was accepted then.
  Refusal refusal;
  StageLock lock;
};

class Trial {
 public:
  Trial(const LockSpec& lock, std::string path, Scene& scene)
      : lock_(lock), path_(std::move(path)), scene_(scene) {}

  /// One of the two, in its namespace: its process outside waits for it.
  [[noreturn]] void supervise(pid_t parent, bool holder) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    if (const char* const refused = make_process_namespace()) scene_.refusal.tell(refused);
    const pid_t first = ::fork();
    if (first == 0) open_room(holder);
    if (first < 0) scene_.refusal.tell("fork");
    ::waitpid(first, nullptr, 0);  // The kernel ends the others with it.
    ::_exit(0);
  }

 private:
  [[noreturn]] void open_room(bool holder) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!mount_own_proc()) scene_.refusal.tell("a /proc of its own");
    const pid_t twin = fork_with_number(kNumber, [this, holder] { holder ? hold() : try_it(); });
    if (twin < 0) scene_.refusal.tell("the choice of a process number");
    ::waitpid(twin, nullptr, 0);
    ::_exit(0);
  }
  void hold() {
    RealPlatform::attach(1);
    void* const lock = object_of(lock_, scene_.lock.bytes, path_);
    if (!holds(lock_.real.acquire(lock))) return;
    tell(scene_.held);
    if (!wait_for(scene_.tried, kStagePatience)) return scene_.gave_up.store(1);
    lock_.real.release(lock);
    tell(scene_.released);
  }
  void try_it() {
    RealPlatform::attach(2);
    if (!wait_for(scene_.held, kStagePatience)) return;
    void* const lock = object_of(lock_, scene_.lock.bytes, path_);
    const Outcome outcome = try_once(lock);
    scene_.outcome.store(outcome);
    const bool owned = lock_.claims.checks_misuse && lock_.claims.releaser != Releaser::kAnyone;
    if (owned && !holds(outcome))
      scene_.misused.store(lock_.real.release(lock) == Outcome::kReleased);
    tell(scene_.tried);
    if (holds(outcome) || scene_.misused.load() || !wait_for(scene_.released, kStagePatience))
      return;
    if (holds(lock_.real.acquire(lock))) tell(scene_.got);
  }
  Outcome try_once(void* lock) {
    if (lock_.real.try_acquire != nullptr) return lock_.real.try_acquire(lock);
    return lock_.real.acquire_until(
        lock, RealPlatform::now().time_since_epoch() / std::chrono::nanoseconds(1) + kTriesForNs);
  }

  const LockSpec& lock_;
  const std::string path_;
  Scene& scene_;
};

Played outcome_of(const Scene& scene) {
  if (const std::string refusal = scene.refusal.words(); !refusal.empty()) {
    return {End::kRefused, refusal};
  }
  if (scene.held.load() == 0) return {End::kUnsure, "the first process did not get the free lock"};
  if (scene.gave_up.load() != 0) return {End::kUnsure, "the second process came too late"};
  if (scene.tried.load() == 0) return {End::kUnsure, "the second process never came to its try"};
  const Outcome outcome = scene.outcome.load();
  const std::string twins = fmt::format(
      "process {0} of one namespace held the lock, and process {0} of another ", kNumber);
  if (scene.misused.load()) return {End::kBroken, twins + "could release it"};
  if (holds(outcome) || outcome == Outcome::kDeadlock || outcome == Outcome::kReentryRefused) {
    return {End::kBroken, fmt::format("{}was told \"{}\"", twins, to_string(outcome))};
  }
  if (outcome != Outcome::kBusy && outcome != Outcome::kTimedOut) {
    return {End::kUnsure, fmt::format("the second process was told \"{}\"", to_string(outcome))};
  }
  if (scene.got.load() == 0) return {End::kUnsure, "the released lock was not to be had"};
  return {End::kKept, ""};
}

}  // namespace

bool works_across_namespaces(const LockSpec& lock) {
  const bool tries = lock.real.try_acquire != nullptr || lock.real.acquire_until != nullptr;
  return fits_stage(lock) && lock.claims.across_namespaces && !lock.claims.semaphore && tries;
}

Played try_twin_numbers(const LockSpec& lock, const std::string& path, int) {
  RealPlatform::registry();  // Before the processes are forked, so that they share it.
  SharedStage<Scene> scene;
  if (!scene) return {End::kRefused, "no memory"};
  if (lock.home == Home::kMemory) lock.real.construct(scene->lock.bytes, path.c_str());
  std::array<pid_t, 2> rooms{};
  for (std::size_t i = 0; i < rooms.size(); ++i) {
    const pid_t parent = ::getpid();
    rooms[i] = ::fork();
    if (rooms[i] == 0) Trial(lock, path, *scene).supervise(parent, i == 0);
  }
  for (const pid_t room : rooms) {
    while (room > 0 && ::waitpid(room, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  return outcome_of(*scene);
}

}  // namespace hobbs::gang
