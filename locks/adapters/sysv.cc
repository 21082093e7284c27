// System V semaphores as a lock, with and without SEM_UNDO.
//
// The semaphore counts holders: 0 is free, which is how Linux makes one, so nobody has to be first
// to initialise it. Acquiring is one semop of two operations, "wait for zero" and "add one",
// which the kernel does as one step; releasing subtracts one, at once or not at all.
#include <sys/ipc.h>
#include <sys/sem.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "locks/adapters/adapters.h"
#include "locks/adapters/path_resource.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

/// With `undo` the kernel takes back what a process did when it ends; then a release by another
/// process would be taken back too, so only the holder's process releases.
template <bool undo>
class SystemVLock {
 public:
  static constexpr Claims claims{
      .releaser = undo ? Releaser::kProcess : Releaser::kAnyone,
      .crash = undo ? CrashBehaviour::kReleasedBySystem : CrashBehaviour::kStuck,
      .checks_misuse = !undo};

  explicit SystemVLock(const char* path)
      : resource_(path,
                  [] {
                    const int made = ::semget(IPC_PRIVATE, 1, 0600);
                    return made < 0 ? std::string() : kMark + std::to_string(made);
                  }),
        set_(resource_.name().empty() ? -1 : std::stoi(resource_.name().substr(kMark.size()))) {}
  ~SystemVLock() {
    resource_.leave([this](const std::string&) { ::semctl(set_, 0, IPC_RMID); });
  }

  Outcome lock() {
    // A mere stop and continue ends semop(2) with EINTR too (signal(7)): the wait goes on.
    Outcome outcome = Outcome::kInterrupted;
    while (outcome == Outcome::kInterrupted) outcome = acquire(0, nullptr);
    return outcome;
  }
  Outcome try_lock() { return acquire(IPC_NOWAIT, nullptr); }
  Outcome try_lock_until(SteadyTime deadline) {
    for (;;) {
      // Relative, and so to be computed anew if the kernel's clock ends it early.
      const std::int64_t left_ns =
          std::max<std::int64_t>(0, (deadline - RealPlatform::now()).count());
      const timespec patience{.tv_sec = static_cast<time_t>(left_ns / 1'000'000'000),
                              .tv_nsec = static_cast<long>(left_ns % 1'000'000'000)};
      const Outcome outcome = acquire(0, &patience);
      if (outcome != Outcome::kBusy && outcome != Outcome::kInterrupted) return outcome;
      if (RealPlatform::now() >= deadline) return Outcome::kTimedOut;
    }
  }
  Outcome unlock() {
    sembuf give{.sem_num = 0, .sem_op = -1, .sem_flg = static_cast<short>(IPC_NOWAIT | kUndo)};
    if (::semop(set_, &give, 1) == 0) return Outcome::kReleased;
    return errno == EAGAIN ? Outcome::kNotLocked : Outcome::kSystemError;
  }

 private:
  static constexpr short kUndo = undo ? SEM_UNDO : 0;
  // Who finds the file after everybody was killed can tell what to remove.
  static inline const std::string kMark = "sysv-semaphore:";

  Outcome acquire(int flags, const timespec* patience) {
    sembuf take[] = {
        {.sem_num = 0, .sem_op = 0, .sem_flg = static_cast<short>(flags)},
        {.sem_num = 0, .sem_op = 1, .sem_flg = static_cast<short>(flags | kUndo)},
    };
    if (::semtimedop(set_, take, 2, patience) == 0) return Outcome::kAcquired;
    switch (errno) {
      case EAGAIN: return Outcome::kBusy;
      case EINTR: return Outcome::kInterrupted;
      default: return Outcome::kSystemError;
    }
  }

  adapters::PathResource resource_;
  int set_;
};

}  // namespace

Catalog sysv_locks() {
  return {
      adapters::peer(path_spec_of<SystemVLock<false>>("sysv.semaphore"),
                     "System V semaphore as a lock that anyone releases.", "semop(2)"),
      adapters::peer(path_spec_of<SystemVLock<true>>("sysv.semaphore_undo"),
                     "System V semaphore with SEM_UNDO: free again when its holder's process ends.",
                     "semop(2)"),
  };
}

}  // namespace hobbs
