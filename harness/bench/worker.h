// What one worker of a gang does in one round.
#pragma once

#include <sched.h>

#include <cstdint>

#include "harness/bench/arena.h"
#include "harness/bench/tsc.h"
#include "locks/real_platform.h"

namespace hobbs::bench {

/// A wait that is expected to be short: spins, and gives the core away now and then, since the one
/// it waits for may need it.
class Spinner {
 public:
  void once() {
    __builtin_ia32_pause();
    if (++spins_ % 64 == 0) ::sched_yield();
  }

 private:
  unsigned spins_ = 0;
};

/// Adds one to the word and wakes whoever waits for it to change.
void count_up(std::atomic<std::uint32_t>& word);

/// Sleeps until the word has that value.
void await(std::atomic<std::uint32_t>& word, std::uint32_t value);

/// Joins the round that the arena's orders describe as worker `id` (1..orders.workers), from
/// barrier to barrier. Called by a thread of its own; aborts if the lock's home refuses.
void work(Arena& arena, std::uint32_t id, const Tsc& tsc);

}  // namespace hobbs::bench
