// A world of processes that run a lock's own machine code on modelled processors.
//
// Each worker is a process of one thread: the same code at the same addresses, a stack, a thread
// block and data of its own, and the lock's object in memory that all share. A transition runs one
// worker from one shared access (or fence, or system call) to just before the next, drains one
// buffered store (TSO), lets a deadline pass, or kills a worker.
//
// A worker that executes `pause` or sched_yield() under memory that nobody has changed since it
// last did so waits until somebody does, or until nobody else can move: a spin lasts as long as it
// can. So unbounded spinning is finite, and a bounded spin ends only when all else has stopped;
// what a spinner that gives up earlier could meet is not covered.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/step/cpu.h"
#include "harness/step/state.h"
#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs::step {

enum class Memory : std::uint8_t { kSequential, kTotalStoreOrder };

struct Transition {
  enum class Kind : std::uint8_t { kRun, kDrain, kTimeOut, kKill } kind = Kind::kRun;
  std::uint8_t worker = 0;
  bool operator==(const Transition&) const = default;
};

/// "1" worker 1 runs, "1d" drains, "1t" its deadline passes, "1k" it is killed.
std::string to_text(const Transition& transition);

/// A schedule as text, blank-separated, and back; false if a token is none.
std::string to_text(const std::vector<Transition>& path);
bool parse_path(std::string_view text, std::vector<Transition>& path);

/// What a transition broke, or why it could not be followed.
struct Incident {
  enum class Kind : std::uint8_t { kNone, kViolation, kUnknown } kind = Kind::kNone;
  std::string rule;     // ME-1, TR-2, ...; empty for kUnknown.
  std::string summary;  // One sentence.

  static Incident unknown(std::string summary) { return {Kind::kUnknown, "", std::move(summary)}; }
  static Incident violation(std::string rule, std::string summary) {
    return {Kind::kViolation, std::move(rule), std::move(summary)};
  }
};

/// Not thread-safe; reads this process's memory while it runs.
class World {
 public:
  /// The lock must be Home::kMemory and no larger than kSharedBytes.
  World(const LockSpec& lock, const Program& program, Memory memory, unsigned kills);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const State& initial() const { return initial_; }
  void enabled(const State& state, std::vector<Transition>& transitions) const;
  /// Moves `state`; after kUnknown it is meaningless.
  Incident step(State& state, const Transition& transition);
  bool is_final(const State& state) const;
  /// Whether a state from which the workers cannot finish is what the lock promises.
  bool may_be_stuck(const State& state) const;

  /// For the native engine: where things are, and how many instructions the last kRun executed
  /// (calls of clock_gettime count for nothing: both engines answer them alike).
  std::uint64_t shared_base() const { return shared_base_; }
  std::uint64_t clock_address() const { return clock_address_; }
  unsigned instructions_of_last_run() const { return instructions_; }
  Memory memory() const { return memory_; }
  const Program& program() const { return program_; }
  const LockSpec& lock() const { return lock_; }

  /// For traces: what the transition is about to do ("pthread_mutex_lock+0x1f: lock cmpxchg ...").
  std::string describe(const State& state, const Transition& transition);
  /// The lock's words that are not zero, as text.
  std::string words_text(const State& state) const;

 private:
  class View;
  struct Process {
    std::vector<std::uint8_t> thread_block;  // The bytes around fs as this worker starts.
  };
  void prepare();
  Incident move(State& state, const Transition& transition);
  void begin_step(State& state, std::size_t w);
  Incident finish_call(State& state, std::size_t w);
  Incident after_acquire(State& state, std::size_t w, const hobbs::Step& step, Outcome outcome);
  Incident run(State& state, std::size_t w, bool granted);
  Incident system_call(State& state, std::size_t w);
  void wake_up(State& state, std::size_t w, std::uint64_t result);
  int futex_wake(State& state, std::size_t waker, std::uint64_t address, bool is_private, int n);
  void kill(State& state, std::size_t w);
  void pause(WorkerState& worker) const;
  void tell_the_others(State& state, std::size_t w, const std::uint8_t* before) const;
  void leave_robust_list(State& state, std::size_t w);
  static void settle_stack(WorkerState& worker);
  bool drains_first(std::uint64_t address) const;

  const LockSpec& lock_;
  const Program program_;
  const Memory memory_;
  mutable Decoder decoder_;  // A cache.
  State initial_;
  std::vector<Process> processes_;
  std::uint64_t shared_base_ = 0;
  std::uint64_t block_base_ = 0;  // First byte of the thread block that processes_ hold.
  std::uint64_t fs_base_ = 0;
  std::uint64_t robust_head_ = 0;
  std::uint64_t clock_address_ = 0;
  unsigned instructions_ = 0;
};

}  // namespace hobbs::step
