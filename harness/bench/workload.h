// What the workers of a benchmark do, as data: which shape, how many, how long they hold and think.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "locks/lock.h"

namespace hobbs::bench {

inline constexpr std::size_t kLine = 64;  // Bytes of a cache line.
inline constexpr std::uint32_t kLocksMax = 1024;
inline constexpr std::size_t kLockAreaBytes = std::size_t{4} << 20;  // For all locks of a round.

/// How far apart locks of `ops` stand in the lock area: no two share a cache line.
constexpr std::size_t lock_stride(const LockOps& ops) {
  const std::size_t unit = ops.align > kLine ? ops.align : kLine;
  return (ops.size + unit - 1) / unit * unit;
}

enum class Shape : std::uint8_t {
  kLoop,       // Acquire, hold, release, think; one worker: uncontended.
  kPingPong,   // Two workers; each release is a hand-off to the other, who is waiting.
  kTry,        // As kLoop, by try.
  kTimed,      // As kLoop, by timed acquire with a short time-out.
  kManyLocks,  // As kLoop, on one of many locks at random.
  kCrash,      // The holder is killed; how long until a waiter has the lock.
};

struct Workload {
  std::string name;  // The family: "uncontended", "contended", "readers_90", ...
  Shape shape = Shape::kLoop;
  std::uint32_t processes = 1;
  std::uint32_t threads = 1;  // In each process.
  std::int64_t hold_ns = 0;
  std::int64_t think_ns = 0;
  std::uint32_t reads_per_mille = 0;  // How many acquisitions are shared ones.
  std::int64_t timeout_ns = 0;        // kTimed.
  std::uint32_t locks = 1;            // kManyLocks.
  bool pinned = true;                 // Worker i on core i modulo cores; else as the kernel likes.

  std::uint32_t workers() const { return processes * threads; }
};

/// "contended/processes:2/threads:1/hold:0ns/think:0ns/pinned": what tells workloads apart, as a
/// part of a benchmark's name.
std::string label(const Workload& workload);

/// Why this lock cannot be measured by this workload; empty if it can. A lock is refused where its
/// own claims say that it does not work, instead of being measured wrong.
std::string refusal(const LockSpec& lock, const Workload& workload);

/// A tour that is quick enough for a look: a point or two of each family that a choice turns on.
std::vector<Workload> default_workloads(std::uint32_t cores);

/// All families with their sweeps: 1 to 4 workers a core, processes and threads, pinned or not.
std::vector<Workload> full_workloads(std::uint32_t cores);

}  // namespace hobbs::bench
