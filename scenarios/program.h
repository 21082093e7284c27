// A program: what each worker does with the locks. Pure data, small, readable as text.
//
// One line of text is one program; workers are separated by '|', steps by blanks:
//
//     lock work unlock | try unlock | timed(2ms) work unlock
//
// An acquiring step pushes its success, a releasing step pops it and releases only what was
// acquired: a program is well nested by construction, and any prefix or subset of sections is a
// program again, which is what makes shrinking easy. Steps that break the nesting on purpose
// (`post`, `misuse`) say so. A step names another lock of the program as `lock#1` (default 0).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "locks/lock.h"

namespace hobbs {

enum class Verb : std::uint8_t {
  kAcquire,     // lock, lock_shared; lock(300): 300 nested acquires of a re-entrant lock, which
                // one unlock gives back
  kTry,         // try, try_shared
  kTimed,       // timed(5ms), timed_shared(5ms): relative to the moment of the call
  kRelease,     // unlock: the most recent acquiring step, in its mode; nothing if that failed
  kUpgrade,     // upgrade: the most recent hold, shared to exclusive
  kTryUpgrade,  // try_upgrade
  kDowngrade,   // downgrade: the most recent hold, exclusive to shared
  kWork,        // work, work(20us): read, dwell, write the guarded data if anything is held
  kMeet,        // meet(3): wait inside the section until 3 workers are in a meet of this program
  kPost,        // post: release without a matching acquire (any-release locks and semaphores)
  kMisuse,      // misuse: release although not a holder; the lock must refuse it (checks_misuse)
  kFork,        // fork: the process forks here; the child runs the rest of this worker's steps as
                // a new worker that holds nothing, the parent goes on
  kExec,        // exec: a child that only execs a sleeper is started here (descriptor inheritance)
  kDie,         // die: this worker's process ends here without releasing
  kDestroy,     // destroy: after the last unlock of all, the lock's memory is poisoned
  kRest,        // rest(1ms): outside any section, lets time pass
};

/// A duration that ends with time itself, written "ever": timed(ever) has the greatest deadline.
inline constexpr std::int64_t kForEver = INT64_MAX;

/// One step of a worker. `amount` is a duration in ns (kTimed, kWork, kRest) or a count (kMeet,
/// kAcquire).
struct Step {
  Verb verb = Verb::kAcquire;
  Mode mode = Mode::kExclusive;
  std::uint8_t lock = 0;
  std::int64_t amount = 0;

  bool operator==(const Step&) const = default;
};

/// When a timed step that is called now gives up.
constexpr std::int64_t deadline_of(const Step& timed, std::int64_t now_ns) {
  return timed.amount == kForEver ? INT64_MAX : now_ns + timed.amount;
}

inline constexpr std::size_t kMaxStepsPerWorker = 4096;
inline constexpr std::size_t kMaxLocksPerProgram = 8;

/// How the workers are placed.
enum class Topology : std::uint8_t {
  kFork,     // A forked process a worker.
  kSpawn,    // A spawned (fresh) process a worker; the lock through inherited memory or its path.
  kThreads,  // Threads of one process.
  kMixed,    // Two threads a forked process.
};

/// Where faults strike; empty means none.
struct Fault {
  enum class Kind : std::uint8_t { kKillThread, kKillProcess, kStop, kSignal, kFork } kind;
  std::uint8_t worker = 0;  // Index into Program::workers.
  std::uint32_t point = 0;  // The k-th platform operation of that worker, counted from 1.
  bool operator==(const Fault&) const = default;
};

struct Program {
  std::vector<std::vector<Step>> workers;
  std::vector<Fault> faults;
  std::uint32_t repeat = 1;    // Each worker runs its steps this often.
  std::uint32_t first_id = 1;  // Worker i of n has the platform id
  std::uint32_t id_step = 1;   // 1 + (i + first_id - 1) mod n * id_step.
  std::uint32_t preset = 0;    // Acquire/release pairs done before the workers start (wraps);
                               // where there are readers, as many of theirs.
  bool operator==(const Program&) const = default;
};

std::string_view to_string(Topology topology);

/// One pair of a preset, by who is alone; of a lock with readers, a pair of theirs too.
void preset_pair(const LockOps& ops, void* lock);

/// The platform id of worker `i` of the program.
std::uint32_t platform_id(const Program& program, std::size_t i);
/// The largest one.
std::uint32_t last_platform_id(const Program& program);

/// The program as one line; parse_program() reads it back. Options stand before a colon:
/// `repeat=2 preset=65535: lock unlock | lock unlock`.
std::string to_text(const Program& program);

struct ParseResult {
  Program program;
  std::string error;  // Empty, or one sentence: what was wrong and what would be right.
};
ParseResult parse_program(std::string_view text);

/// The most acquires that one worker nests, if all succeed.
std::uint64_t deepest_nesting(const Program& program);

/// Total steps, for comparing sizes when shrinking.
std::size_t size_of(const Program& program);

}  // namespace hobbs
