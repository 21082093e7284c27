// The world's kernel: futexes, and what becomes of a dying thread's robust list.
#include <linux/futex.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

#include "harness/step/kernel.h"
#include "harness/step/view.h"
#include "harness/step/world.h"

namespace hobbs::step {

Incident World::system_call(State& state, std::size_t w) {
  WorkerState& worker = state.workers[w];
  const auto& general = worker.cpu.general;
  const auto done = [&worker](std::int64_t result) {
    worker.cpu.general[kRax] = static_cast<std::uint64_t>(result);
    worker.cpu.rip += 2;
    worker.cpu.general[kRcx] = worker.cpu.rip;  // As the processor does.
    worker.cpu.general[kR11] = 0;
    return Incident{};
  };
  switch (general[kRax]) {
    case SYS_gettid:
    case SYS_getpid: return done(thread_id_of(w));
    case SYS_sched_yield: pause(worker); return done(0);
    case SYS_set_robust_list:
    case SYS_nanosleep:
    case SYS_clock_nanosleep: return done(0);
    case SYS_futex: break;
    default:
      return Incident::unknown("system call " + std::to_string(general[kRax]) + " at " +
                               symbol_of(worker.cpu.rip));
  }
  const std::uint64_t address = general[kRdi];
  const bool is_private = (general[kRsi] & FUTEX_PRIVATE_FLAG) != 0;
  View view(*this, state, w);
  switch (general[kRsi] & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET: {
      const auto expected = static_cast<std::uint32_t>(general[kRdx]);
      if (view.read(address, 4) != expected) return done(-EAGAIN);
      worker.phase = Phase::kAsleep;
      worker.futex_address = address;
      worker.futex_private = is_private ? 1 : 0;
      worker.may_time_out = general[kR10] != 0 ? 1 : 0;
      worker.sleep_order = ++state.sleeps;
      return {};
    }
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
      return done(
          futex_wake(state, w, address, is_private, static_cast<std::int32_t>(general[kRdx])));
    default:
      return Incident::unknown("futex operation " + std::to_string(general[kRsi]) + " at " +
                               symbol_of(worker.cpu.rip));
  }
}

void World::wake_up(State& state, std::size_t w, std::uint64_t result) {
  WorkerState& worker = state.workers[w];
  for (std::size_t i = 0; i < state.workers_count; ++i) {
    WorkerState& other = state.workers[i];
    if (other.phase == Phase::kAsleep && other.sleep_order > worker.sleep_order) {
      --other.sleep_order;
    }
  }
  --state.sleeps;
  worker.phase = Phase::kInCall;
  worker.futex_address = worker.sleep_order = 0;
  worker.futex_private = worker.may_time_out = 0;
  worker.cpu.general[kRax] = result;
  worker.cpu.rip += 2;
  worker.cpu.general[kRcx] = worker.cpu.rip;
  worker.cpu.general[kR11] = 0;
}

int World::futex_wake(State& state, std::size_t waker, std::uint64_t address, bool is_private,
                      int n) {
  int woken = 0;
  while (woken < n) {
    std::size_t first = state.workers_count;
    for (std::size_t i = 0; i < state.workers_count; ++i) {
      const WorkerState& sleeper = state.workers[i];
      // A private futex is keyed by address space: each worker has its own.
      if (sleeper.phase != Phase::kAsleep || sleeper.futex_address != address ||
          (sleeper.futex_private != 0) != is_private || (is_private && i != waker)) {
        continue;
      }
      if (first == state.workers_count || sleeper.sleep_order < state.workers[first].sleep_order) {
        first = i;
      }
    }
    if (first == state.workers_count) break;
    wake_up(state, first, 0);
    ++woken;
  }
  return woken;
}

void World::kill(State& state, std::size_t w) {
  WorkerState& worker = state.workers[w];
  View view(*this, state, w);
  while (worker.buffered > 0) view.drain_one();
  if (worker.phase == Phase::kAsleep) wake_up(state, w, 0);
  if (worker.holds_exclusive != 0) state.died_holding = 1;
  --state.kills_left;
  state.any_dead = 1;
  leave_robust_list(state, w);
  std::memset(static_cast<void*>(&worker), 0, sizeof worker);
  worker.phase = Phase::kDead;
}

/// What the kernel does with a dying thread's robust list (its futex documentation).
void World::leave_robust_list(State& state, std::size_t w) {
  if (robust_head_ == 0) return;
  View view(*this, state, w);
  const auto handle = [&](std::uint64_t entry, bool is_pending) {
    const std::uint64_t address = (entry & ~1ull) + view.read(robust_head_ + 8, 8);
    if (address - shared_base_ >= kSharedBytes) return;
    const auto word = static_cast<std::uint32_t>(view.read(address, 4));
    const bool priority_inheriting = (entry & 1) != 0;
    if (is_pending && !priority_inheriting && word == 0) {
      futex_wake(state, w, address, false, 1);
    } else if ((word & FUTEX_TID_MASK) == thread_id_of(w)) {
      const std::uint32_t died = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
      std::memcpy(state.shared + (address - shared_base_), &died, 4);
      if (!priority_inheriting && (word & FUTEX_WAITERS) != 0) {
        futex_wake(state, w, address, false, 1);
      }
    }
  };
  const std::uint64_t pending = view.read(robust_head_ + 16, 8);
  std::uint64_t entry = view.read(robust_head_, 8);
  for (int limit = 0; (entry & ~1ull) != robust_head_ && limit < 16; ++limit) {
    const std::uint64_t next = view.read(entry & ~1ull, 8);
    if ((entry & ~1ull) != (pending & ~1ull)) handle(entry, false);
    entry = next;
  }
  if (pending != 0) handle(pending, true);
}

}  // namespace hobbs::step
