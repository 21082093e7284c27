// Small facts about processes that the world's model of the kernel and C library needs.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/step/decode.h"
#include "harness/step/state.h"
#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs::step {

/// The deadline that timed calls are given: far off; the scheduler decides whether it passes.
inline constexpr std::int64_t kDeadline_ns = 4'000'000'000'000'000'000;

/// Each worker's stack, and where its calls return to: no mapping of ours is there.
inline constexpr std::uint64_t kStackTop = 0x00005a5a'00000000ull;
inline constexpr std::uint64_t kReturnAddress = 0x00005b5b'00000000ull;
inline constexpr std::uint64_t kNow_s = 1'000'000;  // What clock_gettime() says.

/// The modelled thread id of worker `w`: not one that the C library could mistake for flags.
constexpr std::uint32_t thread_id_of(std::size_t w) {
  return 0x1001u + static_cast<std::uint32_t>(w);
}

bool is_syscall(const Instruction& instruction);
bool is_fence(const Instruction& instruction);  // Drains the store buffer: mfence, sfence.

/// A copy of [from, from + bytes); what is not mapped reads as zero.
std::vector<std::uint8_t> readable_copy(std::uint64_t from, std::size_t bytes);

/// Replaces the thread id that glibc keeps in its thread block (`fs` is at `fs_offset`); false if
/// it is not found where glibc has it.
bool replace_thread_id(std::vector<std::uint8_t>& block, std::size_t fs_offset, std::uint32_t from,
                       std::uint32_t to);

/// Whether the step is one that step runs and the lock offers.
bool can_call(const LockOps& ops, const hobbs::Step& step);

/// The address of the code behind a step.
std::uint64_t entry_of(const LockOps& ops, const hobbs::Step& step, bool holds_shared);

/// No other worker holds the lock, is inside a call or has died.
bool nobody_else_near(const State& state, std::size_t w);

}  // namespace hobbs::step
