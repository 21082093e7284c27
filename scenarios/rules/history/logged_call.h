// The judge's own form of a history: 24 bytes a call, one log a worker, one lock at a time.
//
// A log is in the order of its worker's calls, and times strictly increase within it (where a
// coarse clock gives equal ones the judge misses things, but never accuses wrongly). Between
// workers the windows are closed: what touches may be ordered either way. A worker that died is not
// heard of again: one that is started under the same platform id has a log of its own here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scenarios/history.h"

namespace hobbs {

struct LoggedCall {
  std::int64_t invoked_ns = 0;
  std::int64_t returned_ns = INT64_MAX;  // Of a pending call: when it can last take effect.
  std::int32_t patience_ns = INT32_MAX;  // Deadline minus invocation of a timed call; cut to fit,
                                         // so that a time-out after 2.1 s is never called early.
  std::uint16_t worker = 0;              // Index of its log.
  std::uint8_t what = 0;                 // Verb, mode, pending: see below.
  Outcome outcome = Outcome::kAcquired;  // Undefined while pending.

  static constexpr std::uint8_t kSharedBit = 0x10;
  static constexpr std::uint8_t kPendingBit = 0x20;

  Verb verb() const { return static_cast<Verb>(what & 0x0f); }
  Mode mode() const { return (what & kSharedBit) != 0 ? Mode::kShared : Mode::kExclusive; }
  bool pending() const { return (what & kPendingBit) != 0; }
  /// Whether it lasted as long as it was to wait at most; of a pending call, whether it may have.
  bool expired() const {
    // Unsigned: what is pending returns at the end of time.
    return static_cast<std::uint64_t>(returned_ns) - static_cast<std::uint64_t>(invoked_ns) >=
           static_cast<std::uint64_t>(patience_ns);
  }
};
static_assert(sizeof(LoggedCall) == 24);

constexpr bool is_acquire(Verb verb) {
  return verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed;
}
constexpr bool is_release(Verb verb) {
  return verb == Verb::kRelease || verb == Verb::kPost || verb == Verb::kMisuse;
}
constexpr bool is_upgrade(Verb verb) { return verb == Verb::kUpgrade || verb == Verb::kTryUpgrade; }

/// A worker was killed at some instant of this window; after the last return in its log.
struct Death {
  std::uint16_t worker = 0;  // Index of its log.
  std::int64_t from_ns = 0;
  std::int64_t to_ns = INT64_MAX;
};

/// A window in which a signal may have struck a worker.
struct SignalWindow {
  std::uint16_t worker = 0;
  std::int64_t from_ns = 0;
  std::int64_t to_ns = INT64_MAX;
};

/// What all workers did to one lock. The spans are the caller's memory.
struct LockLogs {
  std::vector<std::span<const LoggedCall>> logs;
  std::vector<Death> deaths;  // At most one a log.
  std::vector<SignalWindow> signals;
  std::vector<std::uint32_t> process;  // Of each log; empty: each worker is a process of its own.
  std::vector<std::uint32_t> platform_id;  // Of each log, to speak of it.

  std::size_t size() const {
    std::size_t sum = 0;
    for (const auto& log : logs) sum += log.size();
    return sum;
  }
};

LoggedCall to_logged(const Operation& operation, std::uint16_t log);
Operation to_operation(const LoggedCall& call, std::uint32_t platform_id, std::uint8_t lock);

}  // namespace hobbs
