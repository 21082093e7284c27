// A modelled machine: what every operation of a controlled lock is sent to.
//
// locks/controlled_platform.h declares the hooks; hooks.cc sends each to the calling thread's
// current machine. A machine decides who moves, which value a read takes, when time passes and who
// dies. Two machines exist: the scheduler of this folder, which chooses as it goes, and the
// execution graphs of graph/, which enumerate what each read reads from.
#pragma once

#include <cstdint>

#include "harness/explore/file_system.h"
#include "locks/controlled_platform.h"

namespace hobbs::explore {

using controlled::kNever;
using controlled::ReadModifyWrite;
using controlled::Site;
using controlled::WaitResult;

/// One system call on files: what it does to the modelled file system, as a step.
struct FileCall {
  const char* name;  // "flock", for the story; good for ever.
  /// Performs it for a process; returns as FileSystem's calls do.
  long (*perform)(const FileCall& call, FileSystem& files, std::uint32_t process);
};

/// What a read-modify-write and a compare-exchange are to do. In one register each, so that all
/// that a hook passes on is in registers, and it leaves nothing on the stack to return through.
struct Update {
  ReadModifyWrite operation;
  std::uint8_t size;
};
struct CompareExchange {
  std::memory_order success : 8;
  std::memory_order failure : 8;
  std::uint8_t size;
  bool weak;
};

/// See locks/controlled_platform.h for what each operation means; sizes are 1, 2, 4 or 8 bytes and
/// values travel zero-extended. Called on the fibre of the worker whose operation it is; a call may
/// leave that fibre and come back later, or never.
class Machine {
 public:
  virtual ~Machine() = default;
  virtual std::uint64_t load(const void* cell, unsigned size, std::memory_order order,
                             Site site) = 0;
  virtual void store(void* cell, unsigned size, std::uint64_t value, std::memory_order order,
                     Site site) = 0;
  virtual std::uint64_t read_modify_write(void* cell, Update update, std::uint64_t operand,
                                          std::memory_order order, Site site) = 0;
  virtual bool compare_exchange(void* cell, CompareExchange how, std::uint64_t& expected,
                                std::uint64_t desired, Site site) = 0;
  virtual void fence(std::memory_order order, Site site) = 0;
  virtual WaitResult futex_wait(void* word, std::uint32_t expected, std::int64_t deadline_ns,
                                bool is_private, Site site) = 0;
  virtual int futex_wake(void* word, int n, bool is_private, Site site) = 0;
  virtual void pause(Site site) = 0;
  virtual void yield(Site site) = 0;
  virtual void file_point(Site site) = 0;
  virtual std::uint32_t self() = 0;
  virtual std::uint32_t pid() = 0;
  virtual bool alive(std::uint32_t id, Site site) = 0;
  virtual std::int64_t now_ns() = 0;
  /// The wall clock, which anybody may set; a machine that does not model it refuses the lock.
  virtual std::int64_t wall_ns();

  /// A system call on files, made by the lock directly. Returns its result or -errno, having waited
  /// where it does; -ENOSYS if this machine models no files.
  virtual long file_call(const FileCall& call);
  /// The lock has made a system call on files that is not modelled; `why` says which, and is good
  /// for ever. Does not return from an execution: the lock is refused.
  virtual void refuse_call(const char* why);
  /// Whether `process` runs. Asked by kill(pid, 0).
  virtual bool process_runs(std::uint32_t process);

  /// A non-atomic access to word `word` of the data that lock `lock` guards: what two workers may
  /// only do one after the other, with happens-before between them.
  virtual void plain(unsigned lock, unsigned word, bool write, Site site) = 0;
};

/// The machine that this thread's controlled operations go to; null outside an execution.
/// (Not static to a file, so that hooks need no call to reach it.)
inline constinit thread_local Machine* current_machine = nullptr;

/// Makes a machine current for a scope.
class MachineScope {
 public:
  explicit MachineScope(Machine& machine) : before_(current_machine) { current_machine = &machine; }
  ~MachineScope() { current_machine = before_; }
  MachineScope(const MachineScope&) = delete;
  MachineScope& operator=(const MachineScope&) = delete;

 private:
  Machine* before_;
};

/// What a read-modify-write leaves in a cell of `size` bytes.
constexpr std::uint64_t apply(ReadModifyWrite operation, std::uint64_t old, std::uint64_t operand,
                              unsigned size) {
  const std::uint64_t mask = size == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * size)) - 1;
  switch (operation) {
    case ReadModifyWrite::kExchange: return operand & mask;
    case ReadModifyWrite::kAdd: return (old + operand) & mask;
    case ReadModifyWrite::kSub: return (old - operand) & mask;
    case ReadModifyWrite::kOr: return (old | operand) & mask;
    case ReadModifyWrite::kAnd: return (old & operand) & mask;
    case ReadModifyWrite::kXor: return (old ^ operand) & mask;
  }
  return 0;
}

}  // namespace hobbs::explore
