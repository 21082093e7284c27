// A modelled machine: what every operation of a controlled lock is sent to.
//
// locks/controlled_platform.h says what the operations are. A machine decides who moves, which
// value a read takes, when time passes and who dies. Two machines exist: the scheduler of this
// folder, which chooses as it goes, and the execution graphs of graph/, which enumerate what each
// read reads from.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "harness/explore/file_system.h"
#include "locks/controlled_platform.h"

namespace hobbs::explore {

using controlled::Access;
using controlled::CompareExchange;
using controlled::kNever;
using controlled::ReadModifyWrite;
using controlled::Site;
using controlled::Update;
using controlled::WaitResult;

/// One system call on files: what it does to the modelled file system, as a step.
struct FileCall {
  const char* name;  // "flock", for the story; good for ever.
  /// Performs it for a process; returns as FileSystem's calls do.
  long (*perform)(const FileCall& call, FileSystem& files, std::uint32_t process);
};

/// The operations, and what else a lock may do that a modelled machine must know of.
class Machine : public controlled::Machine {
 public:
  /// The wall clock, which anybody may set; a machine that does not model it refuses the lock.
  virtual std::int64_t wall_ns();

  /// A system call on files, made by the lock directly. Returns its result or -errno, having waited
  /// where it does; -ENOSYS if this machine models no files.
  virtual long file_call(const FileCall& call);
  /// The lock has made a system call on files that is not modelled; `why` says which, and is good
  /// for ever. Does not return from an execution: the lock is refused.
  virtual void refuse_call(const char* why);
  /// What pthread_self() tells threads apart by. The first threads of forked processes are all 0:
  /// they stand at the same address.
  virtual std::uint32_t thread() { return 0; }
  /// Whether `process` runs. Asked by kill(pid, 0).
  virtual bool process_runs(std::uint32_t process);

  /// Calls of malloc(), calloc(), realloc() and free() under this machine so far.
  std::uint64_t heap_calls() const { return heap_calls_; }
  void note_heap_call() { ++heap_calls_; }
  /// Whether they are noted: not under a sanitizer, nor where the program has its own allocator.
  bool sees_heap_calls();

  /// A non-atomic access to word `word` of the data that lock `lock` guards: what two workers may
  /// only do one after the other, with happens-before between them.
  virtual void plain(unsigned lock, unsigned word, bool write, Site site) = 0;

 private:
  std::uint64_t heap_calls_ = 0;
};

/// The machine that this thread's controlled operations go to; null outside an execution.
inline constinit thread_local Machine* current_machine = nullptr;

/// Makes a machine current for a scope.
class MachineScope {
 public:
  explicit MachineScope(Machine& machine) : before_(current_machine) { become(&machine); }
  ~MachineScope() { become(before_); }
  MachineScope(const MachineScope&) = delete;
  MachineScope& operator=(const MachineScope&) = delete;

 private:
  static void become(Machine* machine) {
    current_machine = machine;
    controlled::machine = machine;
  }
  Machine* before_;
};

inline bool Machine::sees_heap_calls() {
  const MachineScope scope(*this);
  const std::uint64_t before = heap_calls_;
  void* volatile block = std::malloc(1);
  std::free(block);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // Compilers know that neither counts.
  return heap_calls_ == before + 2;
}

/// What a read-modify-write leaves in a cell of `size` bytes; `old` and `operand` are of that size.
constexpr std::uint64_t apply(ReadModifyWrite operation, std::uint64_t old, std::uint64_t operand,
                              unsigned size) {
  // (The first two are most; a jump through a table is easily foreseen wrongly.)
  if (operation == ReadModifyWrite::kExchange) return operand;
  const std::uint64_t mask = ~std::uint64_t{0} >> (64 - 8 * size);
  if (operation == ReadModifyWrite::kAdd) return (old + operand) & mask;
  switch (operation) {
    case ReadModifyWrite::kExchange:
    case ReadModifyWrite::kAdd: break;
    case ReadModifyWrite::kSub: return (old - operand) & mask;
    case ReadModifyWrite::kOr: return old | operand;
    case ReadModifyWrite::kAnd: return old & operand;
    case ReadModifyWrite::kXor: return old ^ operand;
  }
  return 0;
}

}  // namespace hobbs::explore
