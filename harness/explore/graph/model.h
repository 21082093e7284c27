// Which execution graphs a memory model allows, asked one new event at a time.
//
//   sc    acyclic(po + rf + mo + fr), read-modify-writes are atomic.
//   tso   x86: coherent per location, atomic, and acyclic(ppo + rfe + mo + fr), where ppo is
//   program
//         order without plain store -> plain load unless a drain of the store buffer lies between.
//   c11   C++20 without out-of-thin-air values (as RC11): po + rf is acyclic, coherence is
//         irreflexive(hb ; eco), atomicity, and a total order S of the seq_cst events exists that
//         is consistent with strongly-happens-before and, through fences, with eco
//         ([atomics.order]).
//
// A graph that grows by reading from, or writing at, the newest end of modification order stays
// consistent in all three; only older places need a check.
#pragma once

#include <string_view>

#include "harness/explore/graph/graph.h"

namespace hobbs::explore::graph {

enum class Model : std::uint8_t { kSc, kTso, kC11 };
std::string_view to_string(Model model);

class Consistency {
 public:
  explicit Consistency(Model model) : model_(model) {}
  Model model() const { return model_; }

  /// The least rank in the modification order of `location` that an event of `thread` that comes
  /// right after `prior` may read from, or write right after: everything from there on is coherent.
  /// `buffered`: the event is a load that does not wait for the thread's store buffer to drain.
  int oldest_visible(const Graph& graph, int thread, Index prior, int location, bool buffered);

  /// Whether the graph's seq_cst events can be totally ordered. Only c11 can say no, and only after
  /// an event was added that is not at the newest end of its location.
  bool has_total_order(const Graph& graph);

 private:
  /// A seq_cst event, and per location which coherence positions S must put after or before it.
  struct Ordered {
    Index event;
    std::uint8_t state;  // 0 new, 1 on the path, 2 done.
  };
  void collect(const Graph& graph);
  bool precedes(const Graph& graph, std::size_t s, std::size_t t) const;
  bool cyclic_from(const Graph& graph, std::size_t s);
  std::int32_t& first_after(std::size_t s, int location) { return first_after_[at(s, location)]; }
  std::int32_t& last_before(std::size_t s, int location) { return last_before_[at(s, location)]; }
  std::size_t at(std::size_t s, int location) const {
    return s * locations_ + static_cast<std::size_t>(location);
  }

  const Model model_;
  std::size_t locations_ = 0;
  std::vector<Ordered> ordered_;
  std::vector<std::int32_t> first_after_;  // Per seq_cst event and location.
  std::vector<std::int32_t> last_before_;
};

}  // namespace hobbs::explore::graph
