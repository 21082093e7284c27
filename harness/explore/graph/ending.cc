#include "harness/explore/graph/ending.h"

#include "harness/explore/graph/request_steps.h"

namespace hobbs::explore::graph {
namespace {

/// A spinning worker waits for ever if every read of its last iteration has read the newest value:
/// the next iteration will read the same.
bool spins_for_ever(const Behaviour& behaviour, const Graph& graph, int thread, Node await) {
  const Node head = behaviour.head(await);
  if (head == kNoNode) return false;
  for (Index e = graph.last(thread); e != kNone; e = graph[e].prior) {
    const Event& event = graph[e];
    if (event.is_read() && event.source != graph.location(event.location).newest) return false;
    if (event.node == head && event.step == 0) break;
  }
  return true;
}

}  // namespace

Ending ending_of(Behaviour& behaviour, const Graph& graph, int spurious) {
  bool all_done = true;
  bool for_ever = true;
  for (int t = 0; t < graph.threads(); ++t) {
    Place at = place_of(behaviour, graph, t);
    const Next next = next_of(behaviour, graph, t, at, spurious);
    if (at.node == kDeadEnd) {
      all_done = for_ever = false;
      continue;
    }
    const Request& request = behaviour.request(at.node);
    if (request.ask == Ask::kFail) return Ending::kFailure;
    if (request.ask == Ask::kDone) continue;
    all_done = false;
    if (next == Next::kSleep) {
      for_ever &= !request.may_time_out;
    } else {
      for_ever &= spins_for_ever(behaviour, graph, t, at.node);
    }
  }
  return all_done ? Ending::kComplete : for_ever ? Ending::kDeadlock : Ending::kBlocked;
}

}  // namespace hobbs::explore::graph
