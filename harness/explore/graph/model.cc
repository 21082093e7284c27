#include "harness/explore/graph/model.h"

#include <algorithm>
#include <array>

namespace hobbs::explore::graph {
namespace {

/// All events from which the next event of a thread is reachable in the order that must be acyclic
/// on sc and tso, found by walking it backwards.
class Reaching {
 public:
  /// Goes no further than to `enough`.
  Reaching(const Graph& graph, bool tso, Index prior, bool buffered, Index enough)
      : graph_(graph), tso_(tso) {
    std::fill_n(seen_.begin(), (graph.size() + 63) / 64, std::uint64_t{0});
    visit_earlier(prior, buffered);
    while (pending_ > 0 && !seen(enough)) expand(graph_[stack_[--pending_]]);
  }

  /// The greatest rank of a reached write of `location`.
  int newest_rank(int location) const {
    for (Index w = graph_.location(location).newest; w != kInitial; w = graph_.older(w)) {
      if (seen(w)) return graph_.rank(w);
    }
    return 0;
  }

 private:
  /// What an event is to a store buffer.
  enum class Role { kStore, kLoad, kDrain, kNothing };
  static Role role(const Event& e) {
    if (e.is(kLocked) || e.kind == Kind::kResume) return Role::kDrain;
    if (e.kind == Kind::kFence && e.is(kSeqCst)) return Role::kDrain;
    if (e.is_write()) return Role::kStore;
    return e.is_read() ? Role::kLoad : Role::kNothing;
  }

  bool seen(Index event) const {
    const auto i = static_cast<std::size_t>(event);
    return (seen_[i / 64] >> (i % 64) & 1) != 0;
  }
  void visit(Index event) {
    if (event < 0 || seen(event)) return;
    const auto i = static_cast<std::size_t>(event);
    seen_[i / 64] |= std::uint64_t{1} << (i % 64);
    stack_[pending_++] = event;
  }

  /// The events of one thread, from `prior` back, that are ordered before its next event, as far as
  /// they are not ordered before one another. A buffered load does not wait for stores.
  void visit_earlier(Index prior, bool buffered_load) {
    if (!tso_) return visit(prior);
    bool load_seen = false;
    for (Index e = prior; e != kNone; e = graph_[e].prior) {
      switch (role(graph_[e])) {
        case Role::kNothing: break;
        case Role::kDrain: return visit(e);
        case Role::kStore:
          if (!buffered_load) return visit(e);
          break;
        case Role::kLoad:
          if (!load_seen) visit(e);
          if (buffered_load) return;
          load_seen = true;
          break;
      }
    }
  }

  void expand(const Event& e) {
    visit_earlier(e.prior, role(e) == Role::kLoad);
    if (e.kind == Kind::kResume) {
      visit(e.source);
    } else if (e.is_read() && e.source >= 0) {
      // A thread reads its own buffered store before anybody else sees it.
      if (!tso_ || graph_[e.source].thread != e.thread) visit(e.source);
    } else if (e.is_write() && e.older != kNone) {
      visit(e.older);
      for (Index r = graph_.first_reader(e.location, e.older); r != kNone; r = graph_[r].sibling) {
        visit(r);
      }
    }
  }

  const Graph& graph_;
  const bool tso_;
  std::array<std::uint64_t, kMaxEvents / 64> seen_;
  std::array<Index, kMaxEvents> stack_;
  std::size_t pending_ = 0;
};

/// The newest write that `before` contains, or of which it contains a reader.
int newest_observed(const Graph& graph, const Clock& before, int location) {
  for (Index w = graph.location(location).newest; w != kInitial; w = graph.older(w)) {
    if (before.contains(graph[w].thread, graph[w].position)) return graph.rank(w);
    for (Index r = graph[w].reader; r != kNone; r = graph[r].sibling) {
      if (before.contains(graph[r].thread, graph[r].position)) return graph.rank(w);
    }
  }
  return 0;
}

int newest_own(const Graph& graph, int thread, int location) {
  for (Index w = graph.location(location).newest; w != kInitial; w = graph.older(w)) {
    if (graph[w].thread == thread) return graph.rank(w);
  }
  return 0;
}

/// A place in coherence order: for two accesses of one location, eco(a, b) iff place(a) < place(b).
/// A write comes right before its readers, and these before the next write.
std::int32_t place(const Graph& graph, const Event& e) {
  return e.is_write() ? 2 * e.rank : 2 * graph.rank(e.source) + 1;
}

}  // namespace

std::string_view to_string(Model model) {
  switch (model) {
    case Model::kSc: return "sc";
    case Model::kTso: return "tso";
    case Model::kC11: return "c11";
  }
  return "?";
}

int Consistency::oldest_visible(const Graph& graph, int thread, Index prior, int location,
                                bool buffered) {
  const Index newest = graph.location(location).newest;
  if (newest == kInitial || prior == kNone) return 0;
  if (model_ == Model::kC11) return newest_observed(graph, graph[prior].before, location);
  const bool tso = model_ == Model::kTso;
  // Most often the newest write is known, and most of what there is need not be looked at.
  const Event& write = graph[newest];
  const bool known =
      tso ? write.thread == thread : graph[prior].causes.contains(write.thread, write.position);
  if (known) return write.rank;
  const int reached = Reaching(graph, tso, prior, buffered, newest).newest_rank(location);
  // A thread sees its own stores at once, though others may not.
  return tso ? std::max(reached, newest_own(graph, thread, location)) : reached;
}

/// S puts s before every access that coherence puts after s, or after something that a seq_cst
/// fence s happens before; and likewise the other way round.
void Consistency::collect(const Graph& graph) {
  locations_ = static_cast<std::size_t>(graph.locations());
  ordered_.clear();
  for (Index i = 0; i < graph.size(); ++i) {
    if (graph[i].is(kSeqCst)) ordered_.push_back({i, 0});
  }
  first_after_.assign(ordered_.size() * locations_, INT32_MAX);
  last_before_.assign(ordered_.size() * locations_, -1);
  for (std::size_t s = 0; s < ordered_.size(); ++s) {
    const Event& event = graph[ordered_[s].event];
    if (event.kind != Kind::kFence) {
      first_after(s, event.location) = last_before(s, event.location) = place(graph, event);
      continue;
    }
    for (Index i = 0; i < graph.size(); ++i) {
      const Event& e = graph[i];
      if (!(e.is_read() && e.source != kNone) && !(e.is_write() && e.older != kNone)) continue;
      if (e.before.contains(event.thread, event.position)) {
        std::int32_t& first = first_after(s, e.location);
        first = std::min(first, place(graph, e));
      }
      if (event.before.contains(e.thread, e.position)) {
        std::int32_t& last = last_before(s, e.location);
        last = std::max(last, place(graph, e));
      }
    }
  }
}

bool Consistency::precedes(const Graph& graph, std::size_t s, std::size_t t) const {
  const Event& a = graph[ordered_[s].event];
  const Event& b = graph[ordered_[t].event];
  // Strongly happens before: program order, or program order; happens-before; program order. The
  // halves of a read-modify-write are one operation: they are not in program order.
  const int after = a.position + (a.is_read() && a.is(kExclusive) ? 2 : 1);
  const Index prior = b.is_write() && b.is(kExclusive) ? graph[b.prior].prior : b.prior;
  if (a.thread == b.thread ? a.position < b.position
                           : prior != kNone && graph[prior].before.contains(a.thread, after)) {
    return true;
  }
  for (std::size_t l = 0; l < locations_; ++l) {
    if (first_after_[s * locations_ + l] < last_before_[t * locations_ + l]) return true;
  }
  return false;
}

bool Consistency::cyclic_from(const Graph& graph, std::size_t s) {
  ordered_[s].state = 1;
  for (std::size_t t = 0; t < ordered_.size(); ++t) {
    if (ordered_[t].state == 2 || !precedes(graph, s, t)) continue;
    if (ordered_[t].state == 1 || cyclic_from(graph, t)) return true;
  }
  ordered_[s].state = 2;
  return false;
}

bool Consistency::has_total_order(const Graph& graph) {
  if (model_ != Model::kC11 || graph.seq_cst_events() == 0) return true;
  collect(graph);
  for (std::size_t s = 0; s < ordered_.size(); ++s) {
    if (ordered_[s].state == 0 && cyclic_from(graph, s)) return false;
  }
  return true;
}

}  // namespace hobbs::explore::graph
