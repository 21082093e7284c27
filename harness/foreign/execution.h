// One execution: the processes of a stage run a program, one step at a time, as a strategy says.
//
// A step is one thing that others can notice (a system call, an access to shared memory) and what
// follows it up to the next; the first step of a call also sends it. Between two steps everybody
// else is held, asleep, or at rest. The calls are recorded as a history for the judge: a call
// begins when it is sent and ends when its answer is seen, so that whatever is wrong with how they
// were held makes the windows too wide, never too narrow.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "harness/explore/strategy.h"
#include "harness/foreign/places.h"
#include "harness/foreign/stage.h"
#include "harness/foreign/traced.h"
#include "reports/result.h"
#include "scenarios/history.h"
#include "scenarios/program.h"

namespace hobbs::foreign {

struct ExecutionOptions {
  bool memory = true;        // Accesses to shared memory are points too.
  Places* places = nullptr;  // Not null: the story is told.
  // So long those who look in vain are let run as if nobody traced them, before they are stuck:
  // some ask whether the holder lives only after ten thousand looks, or once a second.
  std::chrono::milliseconds patience{0};
};

/// What came of it.
struct Played {
  enum class End : std::uint8_t {
    kDone,       // All who live have finished.
    kStuck,      // The lock is free, as far as the calls tell, and yet these wait for ever.
    kExcused,    // Some wait, and their lock's claims allow it.
    kDied,       // A process ended that nobody had killed.
    kUndecided,  // `reason`.
  } end = End::kDone;
  std::string reason;
  bool clean = false;  // The stage can be used again.
  bool whole = false;  // Everybody went as far as he could; else it was cut short.
  explore::Schedule schedule;
  History history;
  std::vector<std::uint32_t> process_of;          // By platform id.
  std::vector<Moment> story;                      // If it is told.
  std::vector<std::string> evidence;              // kStuck: what those who wait were seen to do.
  std::vector<std::size_t> waiting;               // kStuck, kExcused.
  bool in_release = false;                        // One of them waits in a release.
  std::uint64_t waits = 0;                        // Calls that had to wait.
  std::set<std::uint64_t> calls_at, accesses_at;  // Places in code, of the points that were met.
  std::vector<std::uint32_t> steps;               // Of each worker.
};

/// `program` uses exclusive and shared sections with plain and try acquires only; a fault of it
/// kills a worker instead of its n-th step, and at once if it waits by then. Throws what World and
/// Traced throw.
Played play(Stage& stage, const AgentLock& lock, const Program& program,
            explore::Strategy& strategy, const ExecutionOptions& options);

}  // namespace hobbs::foreign
