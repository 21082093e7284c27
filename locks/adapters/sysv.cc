// System V semaphores as a lock, with and without SEM_UNDO.
//
// The semaphore counts holders: 0 is free, which is how Linux makes one, so nobody has to be first
// to initialise it. Acquiring is one semop of two operations, "wait for zero" and "add one",
// which the kernel does as one step; releasing subtracts one, at once or not at all.
#include <sys/ipc.h>
#include <sys/random.h>
#include <sys/sem.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <limits>
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
      .checks_misuse = !undo,
      .waits_asleep = true};

  explicit SystemVLock(const char* path)
      : resource_(path, "sysv-semaphore-key:", unused_key, [this](const std::string& key) {
          set_ = ::semget(std::stoi(key), 1, IPC_CREAT | 0600);
          return set_ >= 0;
        }) {}
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

  /// Of 2^31, by chance, one that nobody has: what has no key could not be found again by one who
  /// knows it only from the file.
  static std::string unused_key() {
    key_t key = IPC_PRIVATE;
    do {
      if (::getrandom(&key, sizeof key, 0) != sizeof key) std::abort();  // Never for so few bytes.
      key &= std::numeric_limits<key_t>::max();
    } while (key == IPC_PRIVATE || ::semget(key, 0, 0) >= 0 || errno == EACCES);
    return std::to_string(key);
  }

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

  int set_ = -1;
  adapters::PathResource resource_;
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
