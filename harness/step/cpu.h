// A modelled x86-64 processor: the instructions that lock code uses, one at a time.
//
// Source of the semantics: the processor manuals; checked against the real processor by
// cpu_test.cc over random states. What is not modelled is refused by name, never guessed.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "harness/step/decode.h"

namespace hobbs::step {

enum Register : std::uint8_t {
  kRax,
  kRcx,
  kRdx,
  kRbx,
  kRsp,
  kRbp,
  kRsi,
  kRdi,
  kR8,
  kR9,
  kR10,
  kR11,
  kR12,
  kR13,
  kR14,
  kR15,
};

inline constexpr std::uint32_t kCarry = 1u, kParity = 4u, kAdjust = 16u, kZero = 64u, kSign = 128u,
                               kOverflow = 2048u;
inline constexpr std::uint32_t kAllFlags = kCarry | kParity | kAdjust | kZero | kSign | kOverflow;

struct Vector {
  std::uint64_t low = 0, high = 0;
};

/// The registers of one worker.
struct Processor {
  std::array<std::uint64_t, 16> general{};
  std::uint64_t rip = 0;
  std::uint64_t fs_base = 0;
  std::uint64_t flags = 0;
  std::array<Vector, 16> vectors{};
};

/// Memory as the processor sees it. `size` is 1, 2, 4 or 8.
class Bus {
 public:
  virtual ~Bus() = default;
  virtual std::uint64_t read(std::uint64_t address, unsigned size) = 0;
  virtual void write(std::uint64_t address, unsigned size, std::uint64_t value) = 0;
};

/// The address of the instruction's memory operand; 0 if it has none.
std::uint64_t effective_address(const Processor& cpu, const Instruction& instruction);

enum class Step : std::uint8_t {
  kDone,     // Executed; rip points at the next instruction.
  kSyscall,  // rip points at a system call, which the caller performs.
  kFence,    // As kDone, for mfence and the like: the caller drains the store buffer first.
  kPause,    // As kDone, for the spin hint.
  kUnknown,  // Not modelled; nothing was changed.
};

/// Executes the instruction at rip. A failed compare-exchange writes nothing.
Step execute(Processor& cpu, Bus& bus, const Instruction& instruction);

/// Which flags the instruction leaves undefined: not to be compared with a real processor's.
std::uint64_t undefined_flags(const Processor& before, const Instruction& instruction);

}  // namespace hobbs::step
