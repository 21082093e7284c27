// One worker as a real process, traced: forked, stopped, stepped, let go, killed.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "harness/step/image.h"
#include "harness/step/native.h"

namespace hobbs::step {

/// What went wrong with the processes themselves.
struct Refusal {
  NativeReport::End end;
  std::string reason;
};

/// A child of this process with its stack where the model has it. Ends with this object. Its calls
/// throw Refusal if the system does not permit them.
class Tracee {
 public:
  /// `w`: the worker; `image`: what its own object of a lock on a path is made from.
  Tracee(std::size_t w, const LockSpec& lock, const Image& image);
  ~Tracee() { kill(); }
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;

  pid_t pid() const { return pid_; }
  bool dead() const { return pid_ == 0; }
  bool running() const { return running_; }
  /// Whether it waits in the kernel for what only others can do: not for a time, as far as can be
  /// seen.
  bool waits_for_others() const;
  int stop_signal() const { return stop_signal_; }
  user_regs_struct& registers() { return registers_; }

  /// Sets it up to enter a call at `entry` with these two arguments.
  void begin_call(std::uint64_t entry, std::uint64_t first, std::uint64_t second);
  /// One instruction. If it is a system call that may block, it is left running when it does.
  void single_step(bool may_block);
  /// A blocked worker that ought to come back now.
  bool comes_back();
  /// A signal with a handler ends a sleep; false if the call does not return to that address.
  bool interrupt(std::uint64_t returns_to);
  void let_go();
  void kill();

  void write_memory(std::uint64_t address, const void* from, std::size_t bytes);
  std::uint64_t read_word(std::uint64_t address);
  void refresh() { registers_ = read_registers(); }
  void write_registers();
  /// Whether it has stopped, perhaps by coming back to its return address (SIGSEGV there).
  bool poll_stop();

 private:
  [[noreturn]] void refuse(const std::string& what) const;
  [[noreturn]] void child_main(const LockSpec& lock, const Image& image);
  void note(int status);
  void wait_for_stop();
  void wait_until_asleep_or_stopped();
  char scheduler_state() const;
  user_regs_struct read_registers();

  const std::size_t index_;
  pid_t pid_ = 0;
  bool running_ = false;
  int stop_signal_ = 0;
  user_regs_struct registers_{};
};

}  // namespace hobbs::step
