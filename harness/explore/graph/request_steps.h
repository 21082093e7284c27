// A request as a sequence of events.
//
// Most requests are one event. A read-modify-write is a read and, if it changes anything, a write.
// The futex calls are atomic updates of the futex's queue, which is one more location whose value
// is the set of sleeping workers (bit t: worker t sleeps):
//
//   wait  0 read queue   1 read word: another value than expected answers kMismatch
//         2 write queue, with the own bit   3 choose how it ends, where there is a choice
//         4 resume after the wake that removed the own bit; or, given up: read queue
//         5 write queue, without the own bit
//   wake  0 read queue   1 choose whom to wake, where there is a choice
//         2 write queue, without those
#pragma once

#include <array>

#include "harness/explore/graph/graph.h"

namespace hobbs::explore::graph {

inline bool is_futex_call(const Request& request) {
  return request.ask == Ask::kWait || request.ask == Ask::kWake;
}

/// Where a worker of a graph stands: before part `step` of the request of `node`.
struct Place {
  Node node;
  int step;
};
/// In Event::next: the worker got an answer that cannot be (it gives up a sleep that has ended).
inline constexpr Node kDeadEnd = kNoNode - 1;

inline Place place_of(Behaviour& behaviour, const Graph& graph, int thread) {
  const Index last = graph.last(thread);
  if (last == kNone) return {behaviour.first(thread), 0};
  const Event& e = graph[last];
  if (e.next != kNoNode) return {e.next, 0};
  return {e.node, e.step + 1};
}

/// Whether some parts of a worker's request have happened, and not all.
inline bool is_midway(const Graph& graph, int thread) {
  const Index last = graph.last(thread);
  return last != kNone && graph[last].next == kNoNode;
}

/// What the next event of a worker will be.
enum class Next : std::uint8_t { kRead, kWrite, kFence, kPlain, kChoice, kSleep, kNothing };
/// Leaves out of `at` the steps where there is no choice.
Next next_of_futex(const Graph& graph, int thread, const Request& request, Place& at, int spurious);
/// The first event of a request, and what follows it, of all but waits and wakes. (A table, as the
/// processor foresees badly which of the requests comes next.)
inline constexpr auto kNext = [] {
  std::array<std::array<Next, 2>, 1 + static_cast<std::size_t>(Ask::kFail)> next{};
  for (auto& steps : next) steps = {Next::kNothing, Next::kNothing};
  const auto of = [&next](Ask ask) -> auto& { return next[static_cast<std::size_t>(ask)]; };
  of(Ask::kLoad) = {Next::kRead, Next::kRead};
  of(Ask::kStore) = {Next::kWrite, Next::kWrite};
  of(Ask::kUpdate) = of(Ask::kCompare) = {Next::kRead, Next::kWrite};
  of(Ask::kFence) = {Next::kFence, Next::kFence};
  of(Ask::kPlainRead) = of(Ask::kPlainWrite) = {Next::kPlain, Next::kPlain};
  of(Ask::kChoice) = {Next::kChoice, Next::kChoice};
  return next;
}();
inline Next next_of(const Behaviour& behaviour, const Graph& graph, int thread, Place& at,
                    int spurious) {
  if (at.node == kDeadEnd) return Next::kNothing;
  const Request& request = behaviour.request(at.node);
  if (is_futex_call(request)) return next_of_futex(graph, thread, request, at, spurious);
  return kNext[static_cast<std::size_t>(request.ask)][at.step == 0 ? 0 : 1];
}

/// The location that a reading step reads, and whether it may overtake buffered stores.
struct ReadStep {
  int location;
  bool buffered;
};
inline ReadStep read_step(const Request& request, int step) {
  if (request.ask == Ask::kWake || (request.ask == Ask::kWait && step != 1)) {
    return {request.queue, false};
  }
  return {request.location, request.ask == Ask::kLoad || request.ask == Ask::kWait};
}

/// What a writing step writes.
struct WriteStep {
  int location;
  std::uint8_t flags;
  std::uint64_t value;
  bool completes;        // The request is answered ...
  std::uint64_t answer;  // ... with this.
};
WriteStep write_step(const Behaviour& behaviour, const Graph& graph, int thread, Place at);

/// How many ways a choosing step has.
int alternatives(const Graph& graph, int thread, const Request& request, int step, int spurious);

/// The event of `thread`'s unfinished request that read what its next write will replace.
Index first_half(const Graph& graph, int thread, int location);

/// The wake that ended the sleep of `thread`, or kNone.
Index waker(const Graph& graph, int thread);

std::uint8_t read_flags(std::memory_order order);
std::uint8_t write_flags(std::memory_order order);

}  // namespace hobbs::explore::graph
