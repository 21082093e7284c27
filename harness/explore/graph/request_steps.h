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

#include "harness/explore/graph/graph.h"

namespace hobbs::explore::graph {

/// Where a worker of a graph stands: before part `step` of the request of `node`.
struct Place {
  Node node;
  int step;
};
/// In Event::next: the worker got an answer that cannot be (it gives up a sleep that has ended).
inline constexpr Node kDeadEnd = kNoNode - 1;

Place place_of(Behaviour& behaviour, const Graph& graph, int thread);

/// What the next event of a worker will be.
enum class Next : std::uint8_t { kRead, kWrite, kFence, kPlain, kChoice, kSleep, kNothing };
Next next_of(const Behaviour& behaviour, const Graph& graph, int thread, Place& at, int spurious);

/// The location that a reading step reads, and whether it may overtake buffered stores.
struct ReadStep {
  int location;
  bool buffered;
};
ReadStep read_step(const Request& request, int step);

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
