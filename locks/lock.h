// What hobbs knows of a lock: what it promises (Claims) and how to call it (LockSpec). Plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "locks/platform.h"

namespace hobbs {

enum class Mode : std::uint8_t { kExclusive, kShared };

/// What a call to a lock did. No exception crosses a LockSpec: an adapter turns it into one of
/// these.
enum class Outcome : std::uint8_t {
  kAcquired,        // The caller holds the lock now.
  kOwnerDied,       // As kAcquired, and the previous holder died holding it.
  kBusy,            // A try that failed: held by somebody (or spuriously, where claimed).
  kTimedOut,        // A timed acquire gave up; the caller does not hold the lock.
  kInterrupted,     // A wait was ended by a signal; the caller does not hold the lock.
  kReleased,        // A release, downgrade included, that succeeded.
  kNotOwner,        // Refused: the caller is not the holder.
  kNotLocked,       // Refused: nobody holds the lock.
  kOverRelease,     // Refused: released more often than acquired.
  kDeadlock,        // Refused: the caller holds it already and would wait for itself.
  kReentryRefused,  // Refused: not re-entrant.
  kUpgradeRefused,  // Refused: a shared hold cannot become exclusive (now, or ever).
  kUnrecoverable,   // Refused: a dead owner's state was given up.
  kBadArgument,     // Refused: an argument is outside its documented range.
  kSystemError,     // The system refused; see errno.
};

/// Whether the caller holds the lock after an acquire with this outcome.
constexpr bool holds(Outcome outcome) {
  return outcome == Outcome::kAcquired || outcome == Outcome::kOwnerDied;
}

std::string_view to_string(Outcome outcome);
std::string_view to_string(Mode mode);

enum class Releaser : std::uint8_t { kAnyone, kProcess, kThread };
enum class CrashBehaviour : std::uint8_t {
  kStuck,             // A dead holder's lock stays held: its contract, not a defect.
  kReleasedBySystem,  // The kernel frees it (file locks, SEM_UNDO).
  kOwnerDied,         // The next acquirer gets it and is told (kOwnerDied).
  kTakeover,          // The next acquirer gets it and need not be told.
};
enum class Fairness : std::uint8_t {
  kNone,
  kBoundedBypass,
  kFifo,
  kReaderPreference,
  kWriterPreference,
  kPhaseFair,
};
enum class ForkBehaviour : std::uint8_t {
  kShared,       // Parent and child see one lock (shared memory, named, file).
  kPrivateCopy,  // The child gets a copy in the same state (threads-only locks).
};

enum class Deadlock : std::uint8_t {
  kUnnoticed,  // Who would wait for ever does.
  kOwn,        // The holder that asks again is refused (kDeadlock).
  kRing,       // One of a ring of processes is, each waiting for the next one's lock.
};

/// What a lock promises beyond what its type shows. The defaults are the common case.
struct Claims {
  bool process_shared = true;  // Works between processes; false: threads of one process only.
  bool thread_shared = true;   // Works between threads of one process (fcntl locks do not).
  Releaser releaser = Releaser::kThread;  // Who may release: the default is the holder.
  bool reentrant = false;  // A holder acquires again at once: a reader beside writers who wait too,
                           // and a writer as a reader, which is one more level of its own hold.
  CrashBehaviour crash = CrashBehaviour::kStuck;
  Fairness fairness = Fairness::kNone;
  std::uint32_t bypass_bound = 0;     // With kBoundedBypass: k.
  bool spurious_try_failure = false;  // A try may fail on a free lock.
  ForkBehaviour fork = ForkBehaviour::kShared;
  bool semaphore = false;  // `permits` holders at once; anyone may release.
  std::uint32_t permits = 1;
  bool bounded_release = false;       // A semaphore that refuses a release above `permits`.
  bool counts_above_permits = false;  // A semaphore that counts such a release. Neither of the
                                      // two: a release above `permits` is outside the contract.
  std::uint32_t max_workers = kMaxWorkers;  // More workers than this are outside the contract.
  bool checks_misuse = false;            // Refuses a release by a non-holder instead of undefined.
  bool pristine_when_free = false;       // Free means: the bytes of a new lock.
  bool position_independent = true;      // Works when mapped at different addresses.
  std::uint32_t max_depth = UINT32_MAX;  // Re-entrant: deeper nesting is outside the contract.
  bool destroyable = true;               // Whoever holds it last may destroy it as soon as it has
                                         // released it. Never asked of a lock with a shared mode
                                         // or with a bound on its workers.
  bool exec_is_death = false;            // A holder that becomes another program counts as dead.
  bool reports_errors = false;           // A call that the system refuses says so, and
                                         // holds nothing; it waits for no FIFO in its
                                         // file's place.
  bool content_ignored = false;          // What its file contains is nothing to it: it may be
                                         // cut and written over at any time.
  bool path_replaceable = false;         // The last that a holder does may be to remove its
                                         // file or put an empty one there: who waits notices.
  bool across_namespaces = false;        // Works between process id namespaces.
  bool zero_is_free = false;             // Zeroed memory is a new lock, without its constructor.
  bool waits_asleep = false;             // Whoever waits long sleeps: it uses next to no
                                         // processor time until the lock is to be had.
  Deadlock finds_deadlock = Deadlock::kUnnoticed;
  bool closing_frees = false;  // To close any descriptor of its file frees it there, as
                               // fcntl(2) has it, although threads may share it.

  bool operator==(const Claims&) const = default;
};

/// The calls of one lock type on one platform; null means not offered. All take the object's
/// address, are as thread- and process-safe as the claims say, and never throw. A deadline is
/// absolute steady-clock nanoseconds.
struct LockOps {
  std::size_t size = 0;  // 0: this platform is not available for the lock.
  std::size_t align = 1;
  void (*construct)(void* zeroed, const char* path) = nullptr;
  void (*destroy)(void* lock) = nullptr;
  Outcome (*acquire)(void* lock) = nullptr;
  Outcome (*try_acquire)(void* lock) = nullptr;
  Outcome (*acquire_until)(void* lock, std::int64_t deadline_ns) = nullptr;
  Outcome (*release)(void* lock) = nullptr;
  Outcome (*acquire_shared)(void* lock) = nullptr;
  Outcome (*try_acquire_shared)(void* lock) = nullptr;
  Outcome (*acquire_shared_until)(void* lock, std::int64_t deadline_ns) = nullptr;
  Outcome (*release_shared)(void* lock) = nullptr;
  Outcome (*upgrade)(void* lock) = nullptr;      // Shared to exclusive, may wait.
  Outcome (*try_upgrade)(void* lock) = nullptr;  // kUpgradeRefused keeps the shared hold.
  Outcome (*downgrade)(void* lock) = nullptr;    // Exclusive to shared, never waits.

  bool available() const { return size != 0; }
  bool has_shared() const { return acquire_shared != nullptr; }
};

/// Where the lock lives, and so how workers get at it.
enum class Home : std::uint8_t {
  kMemory,  // One object in memory that all workers share.
  kPath,    // One object per worker, constructed from a path that all share.
};

/// A lock under test. Plain data, copyable; built by spec_of() and its like (spec_of.h).
struct LockSpec {
  std::string name;
  std::string summary;  // One sentence for `hobbs list`; may be empty.
  std::string source;   // Paper, manual page or document; may be empty.
  Claims claims;
  Home home = Home::kMemory;
  LockOps real;        // RealPlatform, or the class as it is.
  LockOps hooked;      // HookedPlatform; not available for a class that is no template.
  LockOps controlled;  // ControlledPlatform; likewise.
  bool seed = false;   // One of the seed documents' locks: the main job verifies these.
  bool peer = false;   // Another library's: listed and measured, verified when asked for by name.
  std::string unusable_between_processes;  // Why processes are refused, when they are.
};

/// The locks of one program. An argument everywhere, never a global.
using Catalog = std::vector<LockSpec>;

/// The library's own locks (catalog.cc, one line a lock).
Catalog reference_catalog();

}  // namespace hobbs
