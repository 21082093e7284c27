// How one worker moves: its machine code from one stop to the next, its dealings with the kernel,
// its death. A move is a function of the worker's Local, the shared bytes and a small Input, and of
// nothing else: that is what lets a search remember moves instead of making them again.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/step/decode.h"
#include "harness/step/image.h"
#include "harness/step/kernel.h"
#include "harness/step/memory.h"
#include "locks/lock.h"

namespace hobbs::step {

/// The deadline that timed calls are given: far off; the scheduler decides whether it passes.
inline constexpr std::int64_t kDeadline_ns = 4'000'000'000'000'000'000;
inline constexpr std::int64_t kLate_s = kDeadline_ns / 1'000'000'000 + 10;  // After it has passed.

/// The calls of a LockOps, as numbers.
enum class CallKind : std::uint8_t {
  kAcquire,
  kTry,
  kTimed,
  kRelease,
  kAcquireShared,
  kTryShared,
  kTimedShared,
  kReleaseShared,
  kUpgrade,
  kTryUpgrade,
  kDowngrade,
};

/// The address of a call's code; 0 if the lock does not offer it.
std::uint64_t entry_of(const LockOps& ops, CallKind call);

struct Input {
  enum class Kind : std::uint8_t {
    kBegin,   // Enters `call` and runs to the first shared access.
    kRun,     // Makes the access it is stopped before, and runs to the next.
    kLook,    // Runs to before its next access, which it does not make.
    kGiveUp,  // Spins on, alone, until the spin ends of itself.
    kDrain,   // Its oldest buffered store becomes visible.
    kKill,
  } kind = Kind::kRun;
  CallKind call = CallKind::kAcquire;  // kBegin.
  std::uint8_t bits = 0;               // WorkerHead's kPaused, kNews, kTimedOut, kAskedTime.
  std::uint8_t woken = 0;              // By what Pending said it would wake.
  std::uint8_t first = 0;              // 1 + the first sleeper on Pending's channel; 0: nobody.
  bool mortal = false;                 // It may yet be killed.
  std::uint8_t dead = 0;               // A bit for each worker that does not live, if it asks.

  std::uint64_t key() const {
    return static_cast<std::uint64_t>(kind) | static_cast<std::uint64_t>(call) << 8 |
           static_cast<std::uint64_t>(bits) << 16 | static_cast<std::uint64_t>(woken) << 24 |
           static_cast<std::uint64_t>(first) << 32 | static_cast<std::uint64_t>(mortal) << 40 |
           static_cast<std::uint64_t>(dead) << 48;
  }
};

/// What a move came to, beside the changes to Local and Shared.
struct Move {
  enum class End : std::uint8_t {
    kStopped,   // Before a shared access, a fence with stores buffered or a system call.
    kReturned,  // From the call, with `outcome`.
    kAsleep,    // On `channel`.
    kSpins,     // kGiveUp: this spin never ends of itself.
    kFaults,    // Its process dies of SIGSEGV: `unknown` says how.
    kUnknown,   // `unknown` says what is not modelled.
  } end = End::kStopped;
  Outcome outcome = Outcome::kAcquired;
  std::uint8_t bits = 0;  // kSpinning, kPaused and kNews after the move.
  bool may_time_out = false;
  std::uint32_t channel = 0;
  std::uint32_t instructions = 0;  // Executed; calls of clocks count for nothing.
  Wakes wakes;
  std::string unknown;
  std::vector<std::uint32_t>
      touched;  // kKill: offsets of the shared words that the kernel reached.
};

/// The shared bytes that a worker's next move reaches.
struct Access {
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;  // 0: none.
  enum class Kind : std::uint8_t {
    kLoad,
    kStore,   // Under TSO it waits in the store buffer.
    kAtomic,  // A locked instruction, or the kernel.
  } kind = Kind::kLoad;
};

/// What can be said of a worker that is stopped in a call, before it moves.
struct Pending {
  bool drains_first = false;  // Its next instruction waits for the store buffer to be empty.
  bool asks_who_lives = false;
  Interest interest;
};

/// Words of the shared bytes, by offset / 4.
using SharedWords = std::bitset<kSharedBytes / 4>;

/// Not thread-safe.
class Runner {
 public:
  /// `stops_at_robust_list`: a worker that may yet be killed also stops before writes to the list
  /// that the kernel reads when it dies, the one part of its own memory that others can come to
  /// see.
  Runner(const LockSpec& lock, const Image& image, Memory memory, bool stops_at_robust_list);

  /// Reads of other words than these need no stop, since nobody ever changes them. Null, as at
  /// first: every access of the shared bytes is a stop. Not owned.
  void stop_only_at(const SharedWords* changing) { changing_ = changing; }
  const SharedWords* changing() const { return changing_; }

  /// From now on the clocks, which stand still otherwise, go on a little whenever somebody asks,
  /// and more each time; or stand still again.
  void let_time_pass(bool passes) {
    passed_ns_ = 0;
    tick_ns_ = passes ? 1'000 : 0;
  }

  Move move(Local& local, Shared& shared, const Input& input);
  Pending pending(const Local& local, const Shared& shared);
  /// What the next move of a worker that is in a call would reach; `late`: a deadline has passed.
  /// Says in `asks_time` whether that matters.
  Access next_access(Local local, Shared shared, bool late, bool& asks_time);
  /// A system call returns `result`.
  static void wake(Local& local, std::int64_t result);

  const Image& image() const { return image_; }
  Memory memory() const { return memory_; }
  /// Whether a call to `address` is a question about the time, which the model answers.
  bool is_clock(std::uint64_t address) const;
  bool is_clock_gettime(std::uint64_t address) const { return address == clock_gettime_; }
  /// Whether a call to `address` asks if a thread still runs (RealPlatform::alive), which the model
  /// answers: the code would look at real processes. It is made at a moment of its own, as a system
  /// call is.
  bool asks_who_lives(std::uint64_t address) const { return address == lives_ && lives_ != 0; }

 private:
  struct Spin;
  Move run(Local& local, Shared& shared, const Input& input);
  void begin(Local& local, CallKind call) const;
  bool is_access(const Local& local, const Instruction& instruction, bool mortal) const;
  bool changes(std::uint32_t offset, unsigned bytes) const;
  bool concerns_others_or_waits(const Local& local, const Instruction& instruction) const;
  bool touches_shared_string(const Local& local, const Instruction& instruction) const;
  bool makes_system_call(Local& local, Shared& shared, const Input& input, Move& move) const;
  Access access_of_call(const Local& local) const;
  void settle(Local& local) const;
  void tell_the_time(Local& local, WorkerMemory& memory, bool late);
  static void tell_who_lives(Local& local, WorkerMemory& memory, std::uint8_t dead);
  static void return_to_caller(Local& local, WorkerMemory& memory, std::uint64_t value);

  const LockSpec& lock_;
  const Image& image_;
  const Memory memory_;
  const bool stops_at_robust_list_;
  const SharedWords* changing_ = nullptr;
  Decoder decoder_;
  std::int64_t passed_ns_ = 0, tick_ns_ = 0;
  std::uint64_t clock_gettime_ = 0, gettimeofday_ = 0, throws_ = 0, lives_ = 0;
};

}  // namespace hobbs::step
