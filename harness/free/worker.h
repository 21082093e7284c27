// One worker of a gang: runs its steps of the program, round after round, and witnesses in place.
#pragma once

#include <signal.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/free/arena.h"
#include "harness/free/nemesis.h"
#include "harness/free/recorder.h"
#include "harness/free/witness.h"
#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs::gang {

/// What all workers of a run know. Copied into every process by fork.
struct Assignment {
  const LockSpec* lock = nullptr;
  const LockOps* ops = nullptr;
  Program program;
  Nemesis nemesis = Nemesis::kNone;
  std::uint64_t seed = 1;
  std::string path;  // Of a lock on a path; lock i has ".i" appended.
  bool witness = true;
  bool one_process = false;  // All workers are threads of one process.
  bool caught = false;       // The workers' system calls are: see caught_calls.h.

  /// Workers die by the program's faults: then there is one round, and no gate behind it.
  bool with_deaths() const { return !program.faults.empty(); }
  /// The last one out destroys the lock.
  bool destroys() const;
};

/// Whether a process dies of this signal by what it does itself, and not by somebody's kill.
constexpr bool is_own_doing(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
         signal == SIGABRT || signal == SIGTRAP || signal == SIGSYS;
}

class Worker {
 public:
  /// `index` beyond the program's workers: the auditor.
  Worker(const Assignment& assignment, Arena& arena, std::size_t index);

  /// Runs until the gang is over. Call it in the thread that is the worker.
  void run();
  /// After all others have left or died: the locks must be whole.
  void audit();
  /// Opens the locks and closes them.
  void use_once();
  /// Takes the first lock and leaves it so, as if it had died.
  void take_and_vanish();

 private:
  struct Hold {
    std::uint8_t lock = 0;
    Mode mode = Mode::kExclusive;
    bool taken = false;
    std::uint32_t times = 1;  // lock(300): how many levels one unlock gives back.
  };

  void attach();
  void construct_locks();
  bool construct_or_be_refused();
  void construct_as_call();
  void destroy_locks();
  void open_anew();
  void make_anew();
  std::string path_of(std::size_t lock) const;
  void arm_death();
  void preset();
  bool gate();
  void look_at_all();
  void strike_at_rest();
  bool ring_is_full() const;

  // What must hold whenever all are outside: worker_checks.cc.
  void check_free(std::uint8_t lock);
  void check_counter(std::uint8_t lock);
  void check_pristine(std::uint8_t lock);
  void check_destroyed();
  void check_descriptors();

  void run_steps(std::size_t from);
  void perform(const Step& step);
  void acquire(const Step& step);
  void release();
  void convert(const Step& step);
  void misuse(const Step& step);
  void destroy_if_last();
  void close_alias(std::uint8_t lock);
  void work(const Step& step);
  void meet(const Step& step);
  void rest(std::int64_t ns);
  void dwell(std::int64_t ns);
  bool fork_worker();
  void start_sleeper();
  void wait_for_worker(pid_t pid);
  void end_sleepers();

  void fill_store_buffer();
  void wait_for_audit();
  Outcome call(const Step& step, std::int64_t deadline_ns);
  void judge_success(const Step& step, Outcome outcome);
  void judge_failure(const Step& step, Outcome outcome, std::int64_t deadline_ns);
  void judge_patience(const Step& step);
  bool somebody_died() const;
  bool sleeper_lives() const;

  bool over() const { return arena_.over.load(std::memory_order_relaxed) != 0; }
  void set_stage(Stage stage);
  void accuse(const char* rule, std::uint32_t other, const std::string& text, bool proven = true);
  void accuse(const std::optional<Clash>& clash);

  const Assignment& assignment_;
  const LockSpec& lock_;
  const LockOps& ops_;
  const std::vector<Step> steps_;
  Arena& arena_;
  Slot* slot_;
  std::uint32_t id_;
  std::size_t index_;
  Witnessing witness_;
  Recorder recorder_;
  Dice dice_;
  Dice hook_dice_;
  std::array<void*, kMaxLocksPerProgram> locks_{};
  std::array<std::uint32_t, kMaxLocksPerProgram> depth_{};
  std::vector<Hold> holds_;
  std::vector<pid_t> sleepers_;
  std::vector<pid_t> children_;
  std::size_t next_child_ = 0;  // The slot of the next worker that it forks.
  void* own_memory_ = nullptr;
  bool just_released_ = false;  // Nothing that takes time has come since the last call.
  std::uint32_t came_as_ = 0;   // The how-manieth it came in, of those who may destroy the lock.
  std::vector<unsigned char> pristine_;  // The bytes of a new lock.
  std::size_t descriptors_ = 0;          // Open after its first rounds.
  std::uint32_t rounds_ = 0;
};

/// How many descriptors this process has open.
std::size_t open_descriptors();
/// How many locks the program names.
std::size_t locks_of(const Program& program);
/// How many workers the program forks in a round, those of the first `workers` workers only.
std::size_t forks_of(const Program& program, std::size_t workers = SIZE_MAX);
/// The platform id of the worker in slot `index`.
std::uint32_t id_of(const Program& program, std::size_t index);

}  // namespace hobbs::gang
