// The rules, read off an execution graph.
//
// A graph stands for all orders in which its events can happen. Two holds exclude each other only
// if one's end comes before the other's beginning in all of them; a failed try has a reason only if
// somebody else's hold or acquire overlaps it in all of them. What is found here is a suspicion:
// whether the graph can be made to happen so, the ordinary explorer says (exhaust.h).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/explore/graph/ending.h"
#include "harness/explore/graph/graph.h"
#include "harness/explore/graph/model.h"
#include "harness/explore/graph/worker_behaviour.h"

namespace hobbs::explore::graph {

struct Suspicion {
  std::string about;
  std::vector<std::pair<Index, Index>> order;  // In which events must happen for it to show.
};

class GraphJudge {
 public:
  GraphJudge(const LockSpec& lock, WorkerBehaviour& behaviour, Model model);

  std::optional<Suspicion> judge(const Graph& graph, Ending ending);

 private:
  /// A hold in one mode: from the event with which its acquire returned to the one after which its
  /// release is called. kNone: before all events, or never.
  struct Hold {
    int thread;
    Mode mode;
    Index begin;
    Index end;
  };
  /// From the call of an acquire to the return of its release: what may be why a try failed.
  struct Window {
    int thread;
    Mode mode;
    Index before;  // The event after which the call begins; kNone: none, or not a certain one.
    Index first;   // Its first event; kNone if it has none.
    Index last;    // Its last event; kNone if it never ends.
    bool at_once;  // Begins right after `before`, or with the execution.
    bool failed_try;
  };
  struct Failure {
    int thread;
    Mode mode;
    Index first;
    Index last;
  };
  /// What one thread does, while it is looked at.
  struct Thread {
    int number = 0;
    Index last = kNone;
    std::vector<std::size_t> holds;    // Open ones: indices.
    std::vector<std::size_t> windows;  // Likewise.
    Index call_first = kNone;
    bool calling = false;
  };

  void look_at(const Graph& graph, int number);
  void take(const Mark& mark, Thread& thread);
  void begin(const Step& step, Thread& thread);
  void end(const Mark& mark, Thread& thread);
  void open_hold(Mode mode, Thread& thread);
  void close_hold(Thread& thread);
  bool ordered(const Graph& graph, Index a, Index b) const;
  bool can_overlap(const Graph& graph, const Hold& a, const Hold& b) const;
  bool is_possible(const Graph& graph, const Suspicion& suspicion) const;
  std::optional<Suspicion> find_crowd(const Graph& graph, std::size_t from);
  std::optional<Suspicion> find_groundless(const Graph& graph) const;
  bool sleeps_for_good(const Graph& graph);

  const LockSpec& lock_;
  WorkerBehaviour& behaviour_;
  const Model model_;
  std::vector<Hold> holds_;
  std::vector<Window> windows_;
  std::vector<Failure> failures_;
  std::vector<std::size_t> crowd_;  // Holds that can be had at once: indices.
  Thread thread_;
  std::string wrong_;  // An outcome that cannot be.
};

}  // namespace hobbs::explore::graph
