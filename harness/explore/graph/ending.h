// What a graph that cannot grow any more means.
#pragma once

#include "harness/explore/graph/graph.h"

namespace hobbs::explore::graph {

enum class Ending : std::uint8_t {
  kComplete,  // Every worker has finished.
  kBlocked,   // Some worker waits, but a fairer execution would go on: says nothing.
  kDeadlock,  // Some worker waits for ever: nobody is left who could end it.
  kRace,      // The last event races with an earlier access of plain data.
  kFailure,   // A worker found something wrong (Ask::kFail).
};

Ending ending_of(Behaviour& behaviour, const Graph& graph, int spurious);

}  // namespace hobbs::explore::graph
