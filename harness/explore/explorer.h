// The explorer: runs programs over one lock, one execution after the other, under one memory model.
//
//     auto explorer = Explorer::create(lock, MemoryModel::kC11, Topology::kFork);
//     if (std::string why = explorer->load(program); !why.empty()) ... // a skip
//     RandomWalk walk(seed);
//     for (...) if (const Ending& e = explorer->run(walk); e.kind == Ending::Kind::kBroken) ...
//
// Each execution starts from a snapshot of the lock's memory (after the program's preset pairs) and
// allocates nothing. An explorer belongs to the thread that made it; several may run in parallel.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/explore/judge.h"
#include "harness/explore/memory.h"
#include "harness/explore/schedule.h"
#include "harness/explore/strategy.h"
#include "harness/explore/watch.h"
#include "scenarios/program.h"

namespace hobbs::explore {

/// How an execution ended.
struct Ending {
  enum class Kind : std::uint8_t {
    kDone,       // All workers came to their end; nothing was wrong.
    kBroken,     // A rule broke: see `broken`.
    kStuck,      // Nothing moves, and the specification allows that (a reader behind a waiting
                 // writer): nothing learnt.
    kLimit,      // Too many steps.
    kUnsettled,  // A worker looked again and again in ever new states: whether that would have
                 // ended is not known. See `broken.text`.
    kVoid,       // The lock turned out to use thread-local variables: nothing of this execution
                 // counts, and from the next on each worker has its own.
    kRefused,    // The lock does what cannot be modelled: see `broken.text`.
  };
  Kind kind = Kind::kDone;
  Broken broken;
};

/// One thing that happened, for the story of a finding.
struct Event {
  enum class Kind : std::uint8_t {
    kLoad,
    kStore,
    kUpdate,
    kFailedUpdate,
    kFence,
    kFutexWait,
    kFutexReturn,
    kFutexWake,
    kPause,
    kAsk,
    kFileCall,
    kCall,
    kReturn,
    kWork,
    kDrain,
    kTime,
    kSpurious,
    kDeath,
    kFork,
    kMeet,
    kDestroy,
    kEnd,
  };
  Kind kind = Kind::kLoad;
  std::int8_t worker = -1;  // -1: the environment.
  std::int16_t word = -1;
  std::memory_order order = std::memory_order_relaxed;
  int back = 0;  // Values back from the newest.
  std::uint64_t before = 0, after = 0;
  std::uint64_t newest = 0;  // Where `back` is not 0.
  std::int64_t now_ns = 0;
  const char* file = "";
  std::uint32_t line = 0;
  Step step = {};  // kCall, kReturn.
  Outcome outcome = Outcome::kAcquired;
  const char* call = "";  // kFileCall.
};

class Explorer {
 public:
  /// The lock must outlive the explorer and be available on the controlled platform.
  static std::unique_ptr<Explorer> create(const LockSpec& lock, MemoryModel model,
                                          Topology topology);
  virtual ~Explorer() = default;

  /// From now on runs `program`. Empty, or one sentence why it cannot be run; a preset that the
  /// lock does not survive shows as `preset_broken()`.
  virtual std::string load(const Program& program) = 0;
  /// Not empty: the single worker that ran the preset pairs got stuck.
  virtual const Broken* preset_broken() const = 0;

  /// One execution. The reference is good until the next.
  virtual const Ending& run(Strategy& strategy) = 0;

  /// What the last execution did: all its moves, and how many switches away from a worker that
  /// could have gone on it had.
  virtual Schedule schedule() const = 0;
  virtual int preemptions() const = 0;
  virtual int steps() const = 0;
  /// How many operations that took; more than steps where a worker does many in one.
  virtual std::uint64_t operations() const = 0;

  /// Collects what happens in the next executions; null stops.
  virtual void listen(std::vector<Event>* events) = 0;
  /// Has `watch` look whenever something happens, while somebody listens; null stops.
  virtual void watch(Watch* watch) = 0;
  /// "word at +4", and whether the execution touched it.
  virtual std::size_t offset_of(int word) const = 0;

  /// From now on each worker has thread-local variables of its own, as it has by itself after the
  /// first execution in which the lock was seen to use them: slower, but never void.
  virtual void separate_threads() = 0;

  void set_step_limit(int steps) { step_limit_ = steps; }

 protected:
  int step_limit_ = 10'000;
};

}  // namespace hobbs::explore
