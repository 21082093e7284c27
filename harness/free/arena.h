// What a gang of workers shares: plain memory that survives the death of any of them.
//
// The coordinator makes it, the workers inherit it. Everything that two processes touch is atomic
// (lock-free, so also valid between processes); a worker's slot is written by that worker alone.
// The witness of a lock stands on cache lines of its own, away from the lock.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "harness/free/stamp.h"
#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs::gang {

/// Where a worker is. Only in kCalling and kMeeting does it wait for others by the lock's leave.
enum class Stage : std::uint32_t {
  kAbsent,   // Not started yet.
  kWaiting,  // At a gate of the harness.
  kMoving,   // In the harness's own code, or working inside a section.
  kCalling,  // In a call to the lock.
  kMeeting,  // Inside a section, until others are inside too.
  kResting,  // Lets time pass outside any section.
  kDone,     // Has left for good.
};

/// Slot::inside: how a worker is inside a lock's section.
enum Inside : std::uint8_t { kOutside, kInsideExclusive, kInsideShared };

/// One call, written in two steps: before the lock is called, and after it has returned.
struct Record {
  std::atomic<std::uint64_t> invoked;  // Stamps.
  // While the call has not returned, long before `invoked`: of a call that was here before, or 0.
  std::atomic<std::uint64_t> returned;
  // Round, verb, mode, lock and outcome: see recorder.h.
  std::atomic<std::uint64_t> what;
  std::atomic<std::int64_t> patience_ns;  // Of a timed call: from its begin to its deadline.
};
static_assert(sizeof(Record) == 32);

/// A worker's ring. A run ends before it is full, and only a round of more calls than that
/// overwrites what was not read yet.
inline constexpr std::uint32_t kRecordsKept = 1u << 14;

/// What one worker tells. Counters are monotone within a run.
struct alignas(128) Slot {
  std::atomic<std::uint64_t> progress;  // Any sign of life in the program: calls, returns, gates.
  std::atomic<Stage> stage;
  std::atomic<std::int32_t> process;
  std::atomic<std::int32_t> thread;
  std::atomic<std::uint32_t> id;               // Its platform id.
  std::atomic<std::uint32_t> dying;            // 1: from here on it counts as dead.
  std::atomic<std::int64_t> deadline_ns;       // Of the call it is in; INT64_MAX without one.
  std::atomic<std::uint8_t> verb, mode, lock;  // Of the call it is in.
  std::atomic<std::uint8_t> inside[kMaxLocksPerProgram];  // By the witness: see Inside.
  std::atomic<std::uint64_t> added[kMaxLocksPerProgram];  // Its share of each guarded counter.
  std::atomic<std::uint64_t> acquired;
  std::atomic<std::uint64_t> contended;  // Acquiring calls that began while somebody was inside.
  std::atomic<std::uint64_t> refused;    // Tries that failed and timed calls that ran out.
  std::atomic<std::uint64_t> strikes;    // Of the nemesis, in this thread.
  std::atomic<std::uint32_t> idled;      // Signals in this call, well after its deadline.
  std::atomic<std::int32_t> child;       // A process it has started, or 0.
  std::atomic<std::uint32_t> becoming;   // 1: it is on its way to being another program, or is it.
  std::atomic<std::uint32_t> uncatchable;  // An Uncatchable: see caught_calls.h.
  std::atomic<std::uint32_t> forked;       // Children of kForks that may still keep something.
  std::atomic<std::uint64_t> object[kMaxLocksPerProgram];  // Where the locks are, to it.
  std::atomic<std::uint32_t> written;                      // Records so far.
  std::atomic<std::uint64_t> died;  // Stamp of the moment before its planned death.
};

/// The in-place witness of one lock: who is inside, told by one atomic word.
struct alignas(128) Witness {
  // Upper half: the id of the worker inside exclusively, or 0. Lower half: how many are inside
  // shared (of a semaphore: at all).
  std::atomic<std::uint64_t> word;
  alignas(128) std::atomic<std::uint64_t> guarded;  // Read, dwelt on, written: relaxed, no RMW.
};

/// The first thing that went wrong.
struct Violation {
  std::atomic<std::uint32_t> claimed;
  std::atomic<std::uint32_t> complete;
  char rule[8];
  char text[256];
  std::uint32_t worker;  // Platform ids; 0: none.
  std::uint32_t other;
  bool proven;
  std::int64_t at_ns;
};

struct Arena {
  std::atomic<std::uint32_t> workers;   // How many take part.
  std::atomic<std::uint32_t> expected;  // How many must arrive at the gate.
  alignas(128) std::atomic<std::uint32_t> arrived;
  alignas(128) std::atomic<std::uint32_t> round;  // Rounds begun; the gate's word.
  std::atomic<std::uint32_t> rounds_wanted;
  std::atomic<std::uint32_t> end_asked;          // The coordinator wants no further round.
  std::atomic<std::uint32_t> ending;             // No further round begins.
  std::atomic<std::uint32_t> over;               // Leave as soon as you can.
  alignas(128) std::atomic<std::uint32_t> met;   // Arrivals at meets in this round.
  alignas(128) std::atomic<std::uint32_t> done;  // Workers that have left; a futex word.
  // With deaths: who has run its steps stays alive until the auditor has been.
  alignas(128) std::atomic<std::uint32_t> finished;
  std::atomic<std::uint32_t> audited;
  // Of programs that destroy the lock: who has come in, and whether it is destroyed.
  alignas(128) std::atomic<std::uint32_t> entered;
  std::atomic<std::uint32_t> destroyed;
  std::atomic<std::uint32_t> hostile;  // In this round something else is in the file's place.
  Violation violation;
  struct alignas(64) Line {
    std::atomic<std::uint64_t> word;
  };
  Line noise[24];  // Written by all: see Worker::fill_store_buffer().
  Witness witnesses[kMaxLocksPerProgram];
  Slot slots[kMaxWorkers];
  char order[8192];  // What a fresh process must know; see spawn.h.
  StampClock clock;
  std::size_t lock_stride;  // The locks follow, and then the workers' records.
  std::size_t records_at;   // Bytes from here.

  void* lock_at(std::size_t index);
  Record* records_of(std::size_t slot);
  const Record* records_of(std::size_t slot) const {
    return const_cast<Arena*>(this)->records_of(slot);
  }
};

/// The mapping. Forked processes share it; nothing outlives the last of them.
class SharedArena {
 public:
  /// Zeroed, with room for `locks` locks and the records of `workers` workers. Throws
  /// std::system_error.
  SharedArena(const LockOps& ops, std::size_t locks, std::size_t workers);
  /// The arena that another process has made.
  explicit SharedArena(int fd);
  ~SharedArena();
  SharedArena(const SharedArena&) = delete;
  SharedArena& operator=(const SharedArena&) = delete;

  /// Lays the platform's registry of workers, which only forked processes share otherwise, into the
  /// arena's memory: for all that are forked from here on, and for fresh ones that do the same.
  void share_registry() const;

  Arena* operator->() const { return arena_; }
  Arena& operator*() const { return *arena_; }
  int fd() const { return fd_; }

 private:
  void map();

  int fd_ = -1;
  Arena* arena_ = nullptr;
  std::size_t bytes_ = 0;
};

/// CLOCK_MONOTONIC, the clock of every time here.
std::int64_t now_ns();

}  // namespace hobbs::gang
