// The backward half of the search: which earlier reads may read a new write, and how.
#include "harness/explore/graph/explorer.h"

namespace hobbs::explore::graph {

/// Whether the event had been added in the canonical way, as seen from what was there when it was
/// added and from `prefix`, which stays: a read from the newest write, a write as the newest that
/// nobody earlier reads, a choice of the first alternative.
bool Explorer::was_canonical(Index event, const Clock& prefix) {
  const Graph& g = graph();
  const Event& e = g[event];
  if (e.kind == Kind::kChoice) return e.value == 0;
  if (!e.is_read() && !e.is_write()) return true;
  if (e.is_write()) {
    for (Index r = e.reader; r != kNone; r = g[r].sibling) {
      if (r < event) return false;
    }
  }
  const Index stop = e.is_write() ? event : e.source;
  for (Index w = g.location(e.location).newest; w != stop; w = g.older(w)) {
    if (w <= event || prefix.contains(g[w].thread, g[w].position)) return false;
  }
  return true;
}

/// Plans the revisits by `write`, the newest event. `conflict`: another exclusive write has already
/// consumed what `write` wants to consume, so it must go.
void Explorer::push_revisits(Index write, Index conflict) {
  Graph& g = graph();
  const Event& a = g[write];
  Clock prefix = a.causes;
  prefix.set(a.thread, a.position);  // What the write depends on, without the write.
  Index newest = write;
  if (conflict != kNone) {
    if (prefix.contains(g[conflict].thread, g[conflict].position)) return;
    newest = conflict;
  }
  for (auto r = static_cast<Index>(write - 1); r >= 0; --r) {
    const Event& e = g[r];
    if (prefix.contains(e.thread, e.position)) continue;
    if (!was_canonical(r, prefix)) break;
    if (r < newest && e.is_read() && e.location == a.location) {
      branches_.push_back({Branch::Kind::kRevisit, a.thread, write, r});
    }
  }
}

Explorer::Level& Explorer::push_level() {
  ++depth_;
  if (depth_ == levels_.size()) {
    levels_.push_back(std::make_unique<Level>());
    levels_.back()->graph.reset(behaviour_.threads());
  }
  levels_[depth_]->branches = branches_.size();
  return *levels_[depth_];
}

Explorer::Step Explorer::enter_revisit(const Branch& branch) {
  const Graph& from = graph();
  Level& level = push_level();
  level.revisited =
      from.restrict_into(level.graph, branch.target, from.causes_of_next(branch.thread));
  level.base = static_cast<Index>(level.graph.size());
  Place at = place_of(behaviour_, level.graph, branch.thread);
  next_of(behaviour_, level.graph, branch.thread, at, bounds_.spurious);
  const Step step = add_write(branch.thread, at, false);
  return step == Step::kOn ? relink() : step;
}

/// Lets the revisited read read the write that was just put in place.
Explorer::Step Explorer::relink() {
  Graph& g = graph();
  const Level& level = *levels_[depth_];
  const Event& read = g[level.revisited];
  const Index write = level.base;
  const ReadStep step = read_step(behaviour_.request(read.node), read.step);
  const int oldest =
      consistency_.oldest_visible(g, read.thread, read.prior, step.location, step.buffered);
  if (g.rank(write) < oldest || !attach(level.revisited, write)) return Step::kDead;
  const bool stale = write != g.location(step.location).newest;
  return stale && !consistency_.has_total_order(g) ? Step::kDead : Step::kOn;
}

Explorer::Step Explorer::take(const Branch& branch) {
  graph().truncate(branch.count);
  if (branch.kind == Branch::Kind::kRevisit) return enter_revisit(branch);
  const int thread = branch.thread;
  Place at = place_of(behaviour_, graph(), thread);
  next_of(behaviour_, graph(), thread, at, bounds_.spurious);
  switch (branch.kind) {
    case Branch::Kind::kRead: return read(thread, at, branch.target);
    case Branch::Kind::kChoice:
      return choose(thread, at, static_cast<std::uint64_t>(branch.target));
    case Branch::Kind::kWrite: {
      const WriteStep step = write_step(behaviour_, graph(), thread, at);
      const Step result = write(thread, at, step, branch.target);
      const bool base = depth_ > 0 && branch.count == levels_[depth_]->base;
      return result == Step::kOn && base ? relink() : result;
    }
    case Branch::Kind::kRevisit: break;
  }
  return Step::kDead;
}

/// Goes to the next branch that leads anywhere; false when none is left.
bool Explorer::backtrack() {
  for (;;) {
    while (branches_.size() == levels_[depth_]->branches) {
      if (depth_ == 0) return false;
      --depth_;
    }
    const Branch branch = branches_.back();
    branches_.pop_back();
    if (take(branch) == Step::kOn) return true;
    ++tally_.dropped;
  }
}

}  // namespace hobbs::explore::graph
