// One worker of a gang: runs its steps of the program, round after round, and witnesses in place.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "harness/free/arena.h"
#include "harness/free/nemesis.h"
#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs::gang {

/// What all workers of a run know. Copied into every process by fork.
struct Assignment {
  const LockSpec* lock = nullptr;
  const LockOps* ops = nullptr;
  Program program;
  Nemesis::Kind nemesis = Nemesis::Kind::kNone;
  std::uint64_t seed = 1;
  std::string path;  // Of a lock on a path; lock i has ".i" appended.
};

class Worker {
 public:
  Worker(const Assignment& assignment, Arena& arena, std::size_t index);

  /// Runs until the gang is over. Call it in the thread that is the worker.
  void run();

 private:
  struct Hold {
    std::uint8_t lock = 0;
    Mode mode = Mode::kExclusive;
    bool taken = false;
    std::uint32_t times = 1;  // lock(300): how many levels one unlock gives back.
  };

  bool gate();
  void close_round();
  void check_free(std::uint8_t lock);
  void run_steps();
  void perform(const Step& step);
  void acquire(const Step& step);
  void release();
  void convert(const Step& step);
  void work(const Step& step);
  void meet(const Step& step);
  void rest(std::int64_t ns);
  void dwell(std::int64_t ns);
  void preset();

  Outcome call(const Step& step, std::int64_t deadline_ns);
  void judge_failure(const Step& step, Outcome outcome, std::int64_t deadline_ns);
  void enter(std::uint8_t lock, Mode mode);
  void leave(std::uint8_t lock, Mode mode);

  bool over() const { return arena_.over.load(std::memory_order_relaxed) != 0; }
  void set_stage(Stage stage);
  void record(Event::Kind kind, const Step& step, Outcome outcome = Outcome::kAcquired);
  [[gnu::format(printf, 4, 5)]] void accuse(const char* rule, std::uint32_t other,
                                            const char* format, ...);

  const Assignment& assignment_;
  const LockSpec& lock_;
  const LockOps& ops_;
  const std::vector<Step>& steps_;
  Arena& arena_;
  Slot& slot_;
  std::uint32_t id_;
  std::size_t index_;
  Dice dice_;
  Dice hook_dice_;
  std::array<void*, kMaxLocksPerProgram> locks_{};
  std::array<std::uint32_t, kMaxLocksPerProgram> depth_{};
  std::array<Hold, kMaxStepsPerWorker> holds_;
  std::size_t holding_ = 0;
};

/// How many locks the program names.
std::size_t locks_of(const Program& program);
/// Worker i's platform id.
std::uint32_t id_of(const Program& program, std::size_t index);

}  // namespace hobbs::gang
