#include "harness/explore/graph/request_steps.h"

#include <algorithm>
#include <bit>

namespace hobbs::explore::graph {
namespace {

constexpr std::uint64_t bit(int thread) { return std::uint64_t{1} << thread; }

std::uint64_t binomial(std::uint64_t n, std::uint64_t k) {
  std::uint64_t ways = 1;
  for (std::uint64_t i = 1; i <= k; ++i) ways = ways * (n - k + i) / i;
  return ways;
}

/// The `index`-th set of `count` of the sleepers; the first has the lowest workers.
std::uint64_t chosen(std::uint64_t sleepers, std::uint64_t count, std::uint64_t index) {
  std::uint64_t set = 0;
  for (std::uint64_t left = static_cast<std::uint64_t>(std::popcount(sleepers)); count > 0;
       --left) {
    const std::uint64_t lowest = sleepers & -sleepers;
    const std::uint64_t with_lowest = binomial(left - 1, count - 1);
    if (index < with_lowest) {
      set |= lowest;
      --count;
    } else {
      index -= with_lowest;
    }
    sleepers ^= lowest;
  }
  return set;
}

std::uint64_t to_wake(const Request& request, std::uint64_t sleepers) {
  return std::min<std::uint64_t>(request.operand,
                                 static_cast<std::uint64_t>(std::popcount(sleepers)));
}

/// What the choice of a wait's ending stands for; 0 is to sleep until woken.
WaitResult ending(const Request& request, std::uint64_t choice) {
  if (request.may_time_out && choice == 1) return WaitResult::kTimedOut;
  const std::uint64_t spurious = choice - (request.may_time_out ? 1 : 0);
  return spurious == 1 ? WaitResult::kWoken : WaitResult::kInterrupted;
}

}  // namespace

std::uint8_t read_flags(std::memory_order order) {
  switch (order) {
    case std::memory_order_seq_cst: return kAcquire | kSeqCst;
    case std::memory_order_acquire:
    case std::memory_order_consume:
    case std::memory_order_acq_rel: return kAcquire;
    default: return 0;
  }
}

std::uint8_t write_flags(std::memory_order order) {
  switch (order) {
    case std::memory_order_seq_cst: return kRelease | kSeqCst;
    case std::memory_order_release:
    case std::memory_order_acq_rel: return kRelease;
    default: return 0;
  }
}

Index first_half(const Graph& graph, int thread, int location) {
  Index e = graph.last(thread);
  while (!(graph[e].is_read() && graph[e].location == location)) e = graph[e].prior;
  return e;
}

int alternatives(const Graph& graph, int thread, const Request& request, int step, int spurious) {
  if (request.ask == Ask::kChoice) return static_cast<int>(request.operand);
  if (request.ask == Ask::kWake && step == 1) {
    const std::uint64_t sleepers = graph[first_half(graph, thread, request.queue)].value;
    return static_cast<int>(
        binomial(static_cast<std::uint64_t>(std::popcount(sleepers)), to_wake(request, sleepers)));
  }
  if (request.ask != Ask::kWait || step != 3) return 1;
  int used = 0;
  for (Index e = graph.last(thread); e != kNone && spurious > 0; e = graph[e].prior) {
    if (graph[e].kind == Kind::kChoice && graph[e].step == 3 && graph[e].value > 0) ++used;
  }
  return 1 + (request.may_time_out ? 1 : 0) + (used < spurious ? 2 : 0);
}

namespace {

Next next_of_wake(const Graph& graph, int thread, const Request& request, Place& at, int spurious) {
  if (at.step == 0) return Next::kRead;
  if (at.step == 1 && alternatives(graph, thread, request, 1, spurious) > 1) return Next::kChoice;
  at.step = 2;
  return Next::kWrite;
}

Next next_of_wait(const Graph& graph, int thread, const Request& request, Place& at, int spurious) {
  if (at.step <= 1) return Next::kRead;
  if (at.step == 2 || at.step == 5) return Next::kWrite;
  if (at.step == 3 && alternatives(graph, thread, request, 3, spurious) > 1) return Next::kChoice;
  at.step = 4;
  const Event& last = graph[graph.last(thread)];
  return last.kind == Kind::kChoice && last.value != 0 ? Next::kRead : Next::kSleep;
}

}  // namespace

Next next_of_futex(const Graph& graph, int thread, const Request& request, Place& at,
                   int spurious) {
  return request.ask == Ask::kWake ? next_of_wake(graph, thread, request, at, spurious)
                                   : next_of_wait(graph, thread, request, at, spurious);
}

WriteStep write_step(const Behaviour& behaviour, const Graph& graph, int thread, Place at) {
  const Request& request = behaviour.request(at.node);
  const std::uint8_t flags = write_flags(request.order);
  if (request.ask == Ask::kStore) {
    const std::uint8_t locked = (flags & kSeqCst) != 0 ? kLocked : 0;
    return {request.location, static_cast<std::uint8_t>(flags | locked), request.operand, true, 0};
  }
  const bool futex = is_futex_call(request);
  const int location = futex ? request.queue : request.location;
  const std::uint64_t seen = graph[first_half(graph, thread, location)].value;
  if (!futex) {
    return {location, static_cast<std::uint8_t>(flags | kExclusive | kLocked),
            request.written(seen), true, seen};
  }
  constexpr std::uint8_t kQueueFlags = kRelease | kExclusive | kLocked;
  if (request.ask == Ask::kWake) {
    const std::uint64_t count = to_wake(request, seen);
    const Event& last = graph[graph.last(thread)];
    const std::uint64_t index = last.kind == Kind::kChoice && last.node == at.node ? last.value : 0;
    return {location, kQueueFlags, seen & ~chosen(seen, count, index), true, count};
  }
  if (at.step == 2) return {location, kQueueFlags, seen | bit(thread), false, 0};
  const Event& choice = graph[graph[graph.last(thread)].prior];
  return {location, kQueueFlags, seen & ~bit(thread), true,
          static_cast<std::uint64_t>(ending(request, choice.value))};
}

Index waker(const Graph& graph, int thread) {
  Index e = graph.last(thread);
  if (graph[e].kind == Kind::kChoice) e = graph[e].prior;
  for (e = graph[e].newer; e != kNone; e = graph[e].newer) {
    if ((graph[e].value & bit(thread)) == 0) return e;
  }
  return kNone;
}

}  // namespace hobbs::explore::graph
