// An optimal stateless search over execution graphs, after TruSt (Kokologiannakis, Marmanis,
// Gladstein, Vafeiadis: Truly Stateless, Optimal Dynamic Partial Order Reduction, POPL 2022).
//
// A graph is extended by one worker's next event at a time. A read branches over the writes that it
// may read from, a write over its places in modification order; and a new write may be read by
// reads that are already there: the graph is then cut back to what was there before the read, plus
// all that the write depends on. So that no graph is met twice, such a revisit is done only if
// everything that is cut away (and the read) had been added in the canonical way: each read from
// the newest write, each write as the newest. Memory is a stack of graphs.
//
// An await that cannot end is a read that blocks its worker. Awaits whose newest value would not
// end them are put off until nothing else can move.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "harness/explore/graph/behaviour.h"
#include "harness/explore/graph/ending.h"
#include "harness/explore/graph/graph.h"
#include "harness/explore/graph/model.h"
#include "harness/explore/graph/request_steps.h"

namespace hobbs::explore::graph {

struct Bounds {
  std::uint64_t graphs = UINT64_MAX;  // Maximal graphs, of whatever ending.
  int events = 512;                   // In one graph; at most kMaxEvents.
  std::size_t nodes = 4'000'000;      // Of the workers' behaviour.
  int spurious = 0;                   // Spurious wake-ups of each worker's futex waits.
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};

enum class Limit : std::uint8_t { kNone, kGraphs, kEvents, kNodes, kTime, kStopped };

struct Tally {
  std::uint64_t executions = 0;  // Complete ones.
  std::uint64_t blocked = 0;     // Ended blocked.
  std::uint64_t dropped = 0;     // Given up early: inconsistent, or a stale read that blocks.
  std::uint64_t steps = 0;       // Events added.
  Limit limit = Limit::kNone;    // kNone: the search is complete.
};

class Explorer {
 public:
  /// Sees each maximal graph once; returns false to stop the search.
  using Visitor = std::function<bool(const Graph& graph, Ending ending)>;

  Explorer(Behaviour& behaviour, Model model, const Bounds& bounds);
  Tally run(const Visitor& visit);

 private:
  struct Branch {
    enum class Kind : std::uint8_t { kRead, kWrite, kChoice, kRevisit } kind;
    std::uint8_t thread;
    Index count;   // Cut the graph back to this many events, then let the thread ...
    Index target;  // ... read from this, write after this, choose this, or make this read read it.
  };
  struct Level {
    Graph graph;
    Index revisited = kNone;   // The read that brought this level about ...
    Index base = kNone;        // ... and where the write stands that it reads from.
    std::size_t branches = 0;  // The level's branches start here.
  };
  enum class Step { kOn, kDead, kEnd };

  Graph& graph() { return levels_[depth_]->graph; }
  bool awaits(Node node) const {
    return node == kDeadEnd || behaviour_.request(node).ask == Ask::kAwait;
  }
  void answer(Index event, std::uint64_t value) {
    graph().set_next(event, behaviour_.settle(behaviour_.next(graph()[event].node, value)));
  }

  /// A worker that can move, and how.
  struct Move {
    int thread = -1;
    Place at{};
    Next next = Next::kNothing;
  };

  /// Behaviours may come upon new locations with every step.
  void add_locations() {
    Graph& g = graph();
    while (g.locations() < behaviour_.locations())
      [[unlikely]] g.add_location(behaviour_.initial(g.locations()));
  }
  Move schedule();
  Move move_of(int thread);
  bool leaves_waiting(Node node, std::uint64_t value);
  bool is_reluctant(Place at);
  Step forward();
  Step add_read(int thread, Place at);
  Step read(int thread, Place at, Index source);
  bool attach(Index event, Index source);
  Step add_write(int thread, Place at, bool fresh);
  Step add_store(int thread, Place at, const WriteStep& step, bool fresh);
  Step add_second_half(int thread, Place at, const WriteStep& step, bool fresh);
  Step write(int thread, Place at, const WriteStep& step, Index predecessor);
  Step add_plain(int thread, Place at);
  Step add_choice(int thread, Place at, int alternatives);
  Step choose(int thread, Place at, std::uint64_t choice);

  void push_revisits(Index write, Index conflict);
  bool was_canonical(Index event, const Clock& prefix);
  Step enter_revisit(const Branch& branch);
  Step relink();

  Step take(const Branch& branch);
  bool backtrack();
  bool within_bounds();
  Level& push_level();

  Behaviour& behaviour_;
  Consistency consistency_;
  const Bounds bounds_;
  std::vector<std::unique_ptr<Level>> levels_;
  std::size_t depth_ = 0;
  std::vector<Branch> branches_;
  Tally tally_;
  Ending ended_ = Ending::kComplete;
};

}  // namespace hobbs::explore::graph
