// The memory that the coordinator and all workers of all gangs share: anonymous, so that nothing
// is left of it when they are gone, and mapped at one address in all of them.
//
// Who writes what: the coordinator writes Orders before it wakes anybody; each worker writes its
// own WorkerSlot until it counts itself done; the holder of the lock writes Guarded.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "harness/bench/tsc.h"
#include "harness/bench/workload.h"
#include "locks/lock.h"
#include "reports/histogram.h"

namespace hobbs::bench {

/// What a round measures. The probes of one would slow the other.
enum class Probe : std::uint8_t {
  kNone,    // Throughput: no clock is read but those of the workload.
  kClosed,  // Each worker calls again as soon as it has thought: hand-offs, waits, bypass.
  kOpen,    // Calls are due at random times whatever happened before: no co-ordinated omission.
};

/// One round. Plain data; functions have one address in all workers, which run one program.
struct Orders {
  LockOps ops;
  Home home = Home::kMemory;
  bool exclusive = true;  // One holder at a time, unless shared.
  Shape shape = Shape::kLoop;
  Probe probe = Probe::kNone;
  std::uint32_t workers = 0;
  std::uint64_t hold_ticks = 0;
  std::uint64_t think_ticks = 0;
  std::uint64_t gap_ticks = 0;  // kOpen: the mean time between two calls of one worker.
  std::uint32_t reads_per_mille = 0;
  std::int64_t timeout_ns = 0;
  std::uint32_t locks = 1;
  bool pinned = true;
  char path[256] = {};
};

/// What one worker did in a round.
struct alignas(kLine) WorkerSlot {
  std::atomic<std::uint32_t> command{0};        // Futex word: the round that the worker shall join.
  alignas(kLine) std::uint64_t operations = 0;  // Acquisitions, or tries that ended either way.
  std::uint64_t exclusive = 0;  // Acquisitions that were exclusive, the warm-up's too.
  std::uint64_t failures = 0;   // Tries and time-outs without the lock.
  std::uint64_t errors = 0;     // Answers that no lock may give here.
  std::uint64_t handoffs = 0;   // Of those: the previous holder was another worker.
  std::uint64_t from_ticks = 0;
  std::uint64_t to_ticks = 0;
  std::int64_t cpu_ns = 0;
  std::uint64_t switches = 0;
  Histogram acquire;   // ns from the call to the lock held.
  Histogram response;  // kOpen: ns from when the call was due to the lock held.
  Histogram handoff;   // ns from the previous holder's release to the lock held.
  Histogram bypass;    // Acquisitions by others between the call and the lock held.
};

/// Written by the holder alone (relaxed atomics only since a broken lock may have two).
struct alignas(kLine) Guarded {
  std::atomic<std::uint64_t> entries{0};
  std::atomic<std::uint64_t> released_ticks{0};
  std::atomic<std::uint32_t> last_worker{0};
};

struct alignas(kLine) PingPong {
  std::atomic<std::uint64_t> announced{0};
  std::atomic<std::uint64_t> entered{0};
};

/// Of a round. Whoever starts first works alone until the others have their turn of a processor,
/// and what it does meanwhile says nothing of a lock under contention: that is not counted.
enum class Phase : std::uint32_t { kWarmUp, kCounted, kOver };

struct Arena {
  Orders orders;
  alignas(kLine) std::atomic<std::uint32_t> arrived{0};  // Futex words all.
  alignas(kLine) std::atomic<std::uint32_t> go{0};
  alignas(kLine) std::atomic<std::uint32_t> started{0};
  alignas(kLine) std::atomic<std::uint32_t> called{0};
  alignas(kLine) std::atomic<Phase> phase{Phase::kWarmUp};  // No futex word.
  std::uint64_t counted_from_ticks = 0;                     // Written before kCounted.
  alignas(kLine) std::atomic<std::uint32_t> done{0};
  alignas(kLine) std::atomic<std::uint32_t> finished{0};
  PingPong ping_pong[2];
  WorkerSlot workers[kMaxWorkers + 1];  // By worker, from 1.
  Guarded guarded[kLocksMax];           // By lock.
  alignas(4096) unsigned char locks[kLockAreaBytes];
};

}  // namespace hobbs::bench
