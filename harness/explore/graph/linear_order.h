// One order in which the events of an execution graph can happen, for the ordinary explorer.
//
// A graph says what every read reads and not when anything happens. The explorer of the folder
// above makes one move after the other. Here the graph's requests are put into an order in which
// its memory can do the same: what is read has been written before; updates find their source
// newest; under tso each buffered store has a moment in which it drains.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/explore/graph/graph.h"
#include "harness/explore/graph/model.h"
#include "harness/explore/graph/worker_behaviour.h"
#include "harness/explore/strategy.h"

namespace hobbs::explore::graph {

/// One move of a worker, in order.
struct Item {
  std::uint8_t worker = 0;
  bool drain = false;    // The worker's oldest buffered store drains.
  bool step = true;      // False: it happens with what the worker does before or behind it.
  bool resumes = false;  // It goes on behind a futex wait.
  bool time = false;     // Its deadline has come by now.
  bool weak_fails = false;
  int back = 0;  // Of what a read sees, or before what a store goes: how many newer
                 // values there are by then.
  Pending::Kind kind = Pending::Kind::kCall;
};

class LinearOrder {
 public:
  LinearOrder(const WorkerBehaviour& behaviour, const Graph& graph, Model model);
  /// Event `before` must happen before event `after` (kNone: no demand).
  void require(Index before, Index after);
  /// The items in order; none if there is no such order. To be called once.
  std::vector<Item> items();

 private:
  using Vertex = int;
  /// A move, and what must or should come before it.
  struct Record {
    Item item;
    Index event;           // Its first event.
    Index reads = kNone;   // The read whose source decides Item::back.
    Index writes = kNone;  // What becomes visible with it.
    int edges = -1;        // To what comes after it: the first of a list in edges_.
    int must_wait = 0;     // For so many others, ...
    int should_wait = 0;   // ... and where possible for so many.
    bool done = false;
  };
  struct Edge {
    Vertex to;
    bool soft;  // Where possible.
    int next;   // In the list; -1.
  };
  Record& at(Vertex vertex) { return vertices_[static_cast<std::size_t>(vertex)]; }
  const Record& at(Vertex vertex) const { return vertices_[static_cast<std::size_t>(vertex)]; }
  Vertex vertex_of(Index event) const { return vertex_of_[static_cast<std::size_t>(event)]; }
  /// -1: it is not buffered.
  Vertex drain_of(Index event) const {
    return model_ == Model::kTso ? drain_of_[static_cast<std::size_t>(event)] : -1;
  }
  Vertex add_vertex(Index event, bool drain);
  void edge(Vertex from, Vertex to, bool soft = false);
  void make_vertices();
  void make_vertex(Index event);
  bool is_of_same_step(Index event) const;
  Item item_of(Index event) const;
  void order_threads();
  void order_drains(Index event);
  void order_memory();
  void order_location(int location);
  void order_seq_cst();
  /// Where a write becomes visible to others.
  Vertex visible(Index write) const {
    return drain_of(write) >= 0 ? drain_of(write) : vertex_of(write);
  }
  bool buffered(const Event& event) const;
  bool happened_as_added() const;
  std::vector<Item> as_added() const;
  Vertex next_vertex(int current) const;
  int newer_than(int location, Index write) const;
  Item done(Vertex vertex);

  const WorkerBehaviour& behaviour_;
  const Graph& graph_;
  const Model model_;
  std::vector<Vertex> vertex_of_;  // By event.
  std::vector<Vertex> drain_of_;   // By event, under tso.
  std::vector<Record> vertices_;
  std::vector<Edge> edges_;
};

}  // namespace hobbs::explore::graph
