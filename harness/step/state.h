// One state of the modelled machine: everything that the future depends on, in plain memory.
//
// A state has three parts: the shared bytes, what each worker has for itself (Local), and a small
// head that says how the workers stand to each other. A move changes the shared bytes and one
// worker's Local, as a function of nothing else; so a search keeps each distinct Local and each
// distinct content of the shared bytes once, and a state as a head and a few numbers.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/step/cpu.h"

namespace hobbs::step {

inline constexpr std::size_t kMaxStepWorkers = 5;
inline constexpr std::size_t kMaxStepsPerWorker = 255;  // What WorkerHead::step counts.
inline constexpr std::size_t kSharedBytes = 8192;       // The largest lock object.
inline constexpr std::size_t kStackBytes = 4096;
inline constexpr std::size_t kStoreBufferEntries = 16;
inline constexpr std::size_t kPrivateWords = 48;

enum class Phase : std::uint8_t {
  kBetween,  // Outside the lock's code: its next action is to begin the next step's call.
  kInCall,   // Stopped before a shared access, a fence or a system call.
  kAsleep,   // In a system call that waits.
  kDone,
  kDead,
};

/// A store that is not yet visible to other processors.
struct BufferedStore {
  std::uint64_t value = 0;
  std::uint32_t offset = 0;  // In the shared bytes.
  std::uint32_t size = 0;
};

/// An 8-byte word of a process's own memory that differs from what the process started with.
struct PrivateWord {
  std::uint64_t address = 0;
  std::uint64_t value = 0;
};

/// What one worker (a process with one thread) has for itself.
struct Local {
  Processor cpu;
  std::uint8_t worker = 0;
  std::uint8_t buffered = 0;        // Entries of `buffer` in use.
  std::uint8_t private_count = 0;   // Entries of `words` in use, in the order of their addresses.
  std::uint32_t stack_used = 0;     // Bytes from the top that are live; all below are zero.
  std::uint32_t stack_touched = 0;  // Bytes from the top written since the worker last stopped.
  BufferedStore buffer[kStoreBufferEntries];
  PrivateWord words[kPrivateWords];
  std::uint8_t stack[kStackBytes] = {};  // Grows down from the end.

  /// Sets how much of the stack is live, and zeroes what was written below that.
  void set_live_stack(std::uint64_t live_bytes);
  /// Forgets registers and stack: the worker is in nobody's code.
  void leave_code();
};

/// What all workers see: the lock's object, and what the kernel knows of files and semaphores.
struct Shared {
  std::uint32_t used = 0;
  std::uint8_t bytes[kSharedBytes] = {};
};

/// How a worker stands to the others.
struct WorkerHead {
  enum Bit : std::uint8_t {
    kSpinning = 1,     // It paused, and memory is as it was before its last pause.
    kPaused = 2,       // At least once in this call.
    kNews = 4,         // Since its last pause others have changed memory.
    kAlone = 8,        // Nobody else has moved or held since this call began.
    kTimedOut = 16,    // A deadline, or any time that it may wait for, passed during this call.
    kSignalled = 32,   // A signal struck during this call.
    kMayTimeOut = 64,  // The sleep has a deadline.
    kAskedTime = 128,  // In this call: what it compares the time with may come to pass.
  };
  std::uint32_t channel = 0;  // What a sleeper sleeps on.
  Phase phase = Phase::kBetween;
  std::uint8_t step = 0;   // Index of the step whose call is running or next.
  std::uint8_t order = 0;  // Of sleepers: smaller sleeps longer; the kernel wakes in this order.
  std::uint8_t bits = 0;
  std::uint8_t exclusive = 0;  // Holds, between an acquire's return and its release's call.
  std::uint8_t shared = 0;
  std::uint8_t buffered = 0;  // As in its Local.
  std::uint8_t unused = 0;    // No padding: heads are compared as bytes.

  bool has(Bit bit) const { return (bits & bit) != 0; }
  void set(Bit bit, bool on = true) {
    bits = static_cast<std::uint8_t>(on ? bits | bit : bits & ~bit);
  }
  bool holds() const { return exclusive != 0 || shared != 0; }
  bool finished() const { return phase == Phase::kDone || phase == Phase::kDead; }
};

struct Head {
  std::uint8_t count = 0;  // Of workers.
  std::uint8_t kills_left = 0;
  std::uint8_t signals_left = 0;
  std::uint8_t preemptions_left = 0;  // kUnbounded: not counted.
  std::uint8_t last = 0;              // Who ran last, while preemptions are counted.
  std::uint8_t died_holding = 0;      // A dead owner that no acquirer has been told of.
  std::uint8_t any_dead = 0;
  std::uint8_t sleeps = 0;  // How many sleep; their orders are 1..sleeps.
  WorkerHead workers[kMaxStepWorkers];

  static constexpr std::uint8_t kUnbounded = 255;
};

/// The bytes of a head that count, and an exact copy of them back.
inline std::size_t head_bytes(std::size_t workers) {
  return offsetof(Head, workers) + workers * sizeof(WorkerHead);
}

struct State {
  Head head;
  Shared shared;
  Local locals[kMaxStepWorkers];
};

/// The live bytes of a Local: equal strings have equal futures. `bytes` is overwritten.
void pack(const Local& local, std::string& bytes);
void unpack(std::string_view bytes, Local& local);

}  // namespace hobbs::step
