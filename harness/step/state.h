// One state of the modelled machine: everything that the future depends on, in plain memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/step/cpu.h"

namespace hobbs::step {

inline constexpr std::size_t kMaxStepWorkers = 5;
inline constexpr std::size_t kSharedBytes = 8192;  // The largest lock object.
inline constexpr std::size_t kStackBytes = 4096;
inline constexpr std::size_t kStoreBufferEntries = 16;
inline constexpr std::size_t kPrivateWords = 48;

enum class Phase : std::uint8_t {
  kBetween,  // Outside the lock's code: its next action is to begin the next step's call.
  kInCall,   // Stopped before a shared access, a fence or a system call.
  kAsleep,   // In a futex wait.
  kDone,
  kDead,
};

/// A store that is not yet visible to other processors.
struct BufferedStore {
  std::uint64_t address = 0;
  std::uint64_t value = 0;
  std::uint64_t size = 0;
};

/// An 8-byte word of a process's own memory that differs from what the process started with.
struct PrivateWord {
  std::uint64_t address = 0;
  std::uint64_t value = 0;
};

/// One worker: a process with one thread. Kept free of padding, so that its bytes can be compared.
struct WorkerState {
  Processor cpu;
  std::uint64_t futex_address = 0;
  std::uint64_t sleep_order = 0;  // Smaller sleeps longer; the kernel wakes in this order.
  Phase phase = Phase::kBetween;
  std::uint8_t step = 0;  // Index of the step whose call is running or next.
  std::uint8_t futex_private = 0;
  std::uint8_t may_time_out = 0;     // The sleep has a deadline.
  std::uint8_t timed_out = 0;        // A deadline passed during this call.
  std::uint8_t alone = 0;            // Nobody else has moved or held since this call began.
  std::uint8_t holds_exclusive = 0;  // Between an acquire's return and its release's call.
  std::uint8_t holds_shared = 0;
  std::uint8_t buffered = 0;  // Entries of `buffer` in use.
  std::uint8_t private_count = 0;
  std::uint8_t spinning = 0;    // It paused, and memory is as it was before its last pause.
  std::uint8_t has_paused = 0;  // At least once in this call.
  std::uint8_t news = 0;        // Since its last pause others have changed memory.
  std::uint8_t unused[2] = {};
  std::uint32_t stack_used = 0;     // Bytes from the top that are live; all below are zero.
  std::uint64_t stack_touched = 0;  // Bytes from the top written since the worker last stopped.
  BufferedStore buffer[kStoreBufferEntries];
  PrivateWord words[kPrivateWords];
  std::uint8_t stack[kStackBytes];  // Grows down from the end.
};

struct State {
  std::uint8_t workers_count = 0;
  std::uint8_t kills_left = 0;
  std::uint8_t died_holding = 0;  // A dead owner that no acquirer has been told of.
  std::uint8_t any_dead = 0;
  std::uint32_t sleeps = 0;                  // How many sleep; their orders are 1..sleeps.
  std::uint32_t shared_used = kSharedBytes;  // Bytes of `shared` that the lock occupies.
  std::uint8_t shared[kSharedBytes] = {};
  WorkerState workers[kMaxStepWorkers];
};

/// The live bytes of a state, for the frontier and for hashing: equal strings are equal states.
std::string pack(const State& state);
void unpack(std::string_view bytes, State& state);

}  // namespace hobbs::step
