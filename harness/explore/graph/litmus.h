// Small programs over a few shared variables, as text: what the memory models are tested with.
//
// Threads are separated by '|', operations by blanks. Variables are x, y, z, w; orders rlx, acq,
// rel, ar (acq_rel), sc.
//
//     x=1:rel         store                      x:acq          load
//     x+1:ar          fetch_add                  x<-2:sc        exchange
//     x?0>1:ar        compare_exchange 0 -> 1    F:sc           fence
//     x==1:acq        wait until it is 1         ?1             go on only if the last value was 1
//     !x              plain read                 !x=            plain write
//     sleep(x,0)      futex_wait                 wake(x,1)      futex_wake
//     timed(x,0)      futex_wait that may time out
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "harness/explore/graph/graph.h"

namespace hobbs::explore::graph {

class Litmus : public Behaviour {
 public:
  /// Aborts on text that is no program: tests write it.
  explicit Litmus(std::string_view text);

 protected:
  Node extend(Node node, std::uint64_t value) override;

 private:
  struct Operation {
    Request request;
    bool is_await = false;
    bool is_guard = false;  // Go on only if the last value was request.expected.
  };
  Operation parse(std::string_view text);
  int location(char name);
  int queue(char name);
  Node start(std::size_t thread, std::size_t at);

  std::vector<std::vector<Operation>> threads_;
  std::vector<std::pair<std::size_t, std::size_t>> where_;  // Of each node: thread and operation.
  int variables_[4] = {-1, -1, -1, -1};
  int queues_[4] = {-1, -1, -1, -1};
};

/// What the threads saw, each in program order, and what is in memory at the end:
/// "1 0|2; x=1 y=2" (every variable of the program, queues left out).
std::string outcome_of(const Behaviour& behaviour, const Graph& graph);

/// The graph itself, whatever order its events were added in: equal texts are equal graphs.
std::string text_of(const Graph& graph);

}  // namespace hobbs::explore::graph
