// The Platform seam: what an algorithm may ask of the machine (fixed contract, DESIGN 4.1).
//
// A lock written as `template <class P> struct my_lock` against this seam runs unchanged on
//   RealPlatform        the machine itself (real_platform.h);
//   HookedPlatform      the machine, with a hook before and after every operation, where the
//                       free driver delays, yields, forks and kills (hooked_platform.h);
//   ControlledPlatform  a modelled machine in which every operation is a decision of the
//                       scheduler (controlled_platform.h).
//
// P supplies, all as members or static functions:
//   template <class T> atomic        std::atomic's interface with explicit std::memory_order;
//                                    all-zero bytes are the value zero; sizeof equals T's.
//   enum class wait_result           woken, mismatch, timed_out, interrupted.
//   time_point                       a steady std::chrono time point.
//   futex_wait(word, expected, deadline = nullopt) -> wait_result
//                                    process-shared; absolute deadline; may wake spuriously
//                                    (woken) or by a signal (interrupted).
//   futex_wake(word, n) -> int       wakes at most n waiters, says how many.
//   pause()                          "nothing changed yet": spin hint. A controlled scheduler may
//                                    run others until memory changes.
//   yield()                          gives the processor away.
//   self() -> uint32_t               the caller's worker id: 1..64, dense, unique over all
//                                    processes and threads of a run.
//   now() -> time_point
// Optional, for the locks that use them:
//   alive(id) -> bool                is that worker's thread still running? (zombies are not)
//   pid() -> uint32_t                the caller's process; threads share it.
//   futex_wait_private / futex_wake_private
//                                    the same, keyed by address space: wrong in shared memory.
//   file_point()                     a preemption and crash point between two file system calls.
//   fence(order)                     std::atomic_thread_fence, which a model cannot see.
//   spin_limit(wanted) -> uint32_t   how many looks a waiter that means to sleep shall take before;
//                                    absent means `wanted`. A model says 0: looking again without
//                                    a change only multiplies equal schedules.
//   kCacheLineBytes                  how far apart words must stand not to share a line; absent
//                                    means 64. A model has no lines, and copies fewer bytes.
//
// Memory orders belong on operations rather than on fences: ThreadSanitizer does not see fences.
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>

namespace hobbs {

/// The most workers (threads over all processes) that one run can have; ids are 1..kMaxWorkers.
inline constexpr std::uint32_t kMaxWorkers = 64;

/// The clock of every deadline: steady, comparable between processes of one machine.
using SteadyTime = std::chrono::steady_clock::time_point;

/// A type that can stand for P.
template <class P>
concept Platform = requires(typename P::template atomic<std::uint32_t>& word,
                            typename P::time_point deadline) {
  { P::futex_wait(word, 0u) } -> std::same_as<typename P::wait_result>;
  { P::futex_wait(word, 0u, deadline) } -> std::same_as<typename P::wait_result>;
  { P::futex_wake(word, 1) } -> std::convertible_to<int>;
  { P::self() } -> std::convertible_to<std::uint32_t>;
  { P::now() } -> std::same_as<typename P::time_point>;
  P::pause();
  P::yield();
};

}  // namespace hobbs
