// The modelled kernel: what a system call of one worker does, and what becomes of a dying one.
//
// Sources: futex(2) and the kernel's documentation of robust and priority-inheriting futexes,
// fcntl(2), flock(2), semop(2). Checked against the kernel by lockstep_test.cc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/step/decode.h"
#include "harness/step/memory.h"

namespace hobbs::step {

inline constexpr std::int64_t kNow_s = 1'000'000;  // What the modelled clocks say.

/// What sleepers sleep on, as one number: a kind and what it is about.
namespace channel {
inline constexpr std::uint32_t kKind = 0xf0000000u;
inline constexpr std::uint32_t kFutex = 0x10000000u;     // | offset in the shared bytes.
inline constexpr std::uint32_t kPrivate = 0x20000000u;   // | worker << 16 | offset: its own space.
inline constexpr std::uint32_t kPriority = 0x30000000u;  // | offset: a priority-inheriting futex.
inline constexpr std::uint32_t kFile = 0x40000000u;      // | family: fcntl, OFD, flock.
inline constexpr std::uint32_t kSemaphore = 0x50000000u;
/// Whether a woken sleeper's call is made again, instead of returning.
constexpr bool retries(std::uint32_t where) { return (where & kKind) == kFile; }
constexpr bool is_futex(std::uint32_t where) {
  return (where & kKind) == kFutex || (where & kKind) == kPrivate;
}
/// Whether a signal ends the sleep (futex(2): not that for a priority-inheriting one).
constexpr bool is_priority(std::uint32_t where) { return (where & kKind) == kPriority; }
constexpr bool is_interruptible(std::uint32_t where) { return !is_priority(where); }
}  // namespace channel

inline constexpr std::uint8_t kWakeAll = 255;

/// Who is to be woken.
struct Wake {
  std::uint32_t channel = 0;
  std::uint8_t count = 0;
};

struct Wakes {
  static constexpr unsigned kMax = 6;
  Wake list[kMax];
  std::uint8_t count = 0;
  void add(std::uint32_t where, std::uint8_t how_many) {
    if (count < kMax) list[count++] = {where, how_many};
  }
};

/// What a system call needs to know of the sleepers before it happens. Follows from the worker's
/// registers alone.
struct Interest {
  std::uint32_t channel = 0;  // 0: nothing.
  std::uint8_t wakes = 0;     // It wakes so many of them, whatever it finds.
};

/// How a system call went on.
struct CallResult {
  enum class End : std::uint8_t { kReturns, kSleeps, kYields, kUnknown } end = End::kReturns;
  std::int64_t value = 0;  // kReturns: the result or -errno.
  std::uint32_t channel = 0;
  bool may_time_out = false;
  Wakes wakes;          // After the call.
  std::string unknown;  // What is not modelled.
};

bool is_syscall(const Instruction& instruction);
/// Whether the system call of this number only gives the processor away.
bool only_yields(std::uint64_t number);
bool is_fence(const Instruction& instruction);  // Drains the store buffer: mfence, sfence.

/// One worker's dealings with the kernel.
class KernelCall {
 public:
  KernelCall(const Image& image, Memory model, Local& local, Shared& shared)
      : image_(image), memory_(image, model, local, shared), local_(local), shared_(shared) {}

  /// For the system call at the worker's rip.
  Interest interest();
  /// Performs it. `woken`: how many sleepers its Interest found and woke; `first`: 1 + the first of
  /// those that slept there, 0 if nobody did.
  CallResult perform(unsigned woken, unsigned first);
  /// The worker is dying: robust futexes, file locks and semaphore adjustments. Adds to `touched`
  /// the offsets of the shared words that its robust list names.
  Wakes die(unsigned first_at_semaphore, std::vector<std::uint32_t>& touched);

 private:
  std::uint32_t futex_channel(std::uint64_t address, std::uint32_t kind) const;
  CallResult perform_known(unsigned woken, unsigned first);
  CallResult give_robust_list();
  CallResult futex(unsigned woken, unsigned first);
  CallResult lock_priority(std::uint64_t address, bool may_wait);
  CallResult unlock_priority(std::uint64_t address, unsigned first);
  CallResult record_lock();
  CallResult file_lock();
  CallResult change_file_lock(int family, int wanted, bool may_wait);
  CallResult semaphore(unsigned first);
  void leave_robust_list(Wakes& wakes, std::vector<std::uint32_t>& touched);
  KernelObjects objects() const;
  void put(const KernelObjects& objects);
  std::uint64_t argument(Register reg) const { return local_.cpu.general[reg]; }

  const Image& image_;
  WorkerMemory memory_;
  Local& local_;
  Shared& shared_;
};

}  // namespace hobbs::step
