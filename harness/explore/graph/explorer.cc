#include "harness/explore/graph/explorer.h"

namespace hobbs::explore::graph {

Explorer::Explorer(Behaviour& behaviour, Model model, const Bounds& bounds)
    : behaviour_(behaviour), consistency_(model), bounds_(bounds) {
  constexpr std::size_t kUsualBranches = 64;
  branches_.reserve(kUsualBranches);
}

Tally Explorer::run(const Visitor& visit) {
  tally_ = {};
  branches_.clear();
  depth_ = 0;
  if (levels_.empty()) {
    levels_.push_back(std::make_unique<Level>());
  }
  levels_[0]->graph.reset(behaviour_.threads());
  levels_[0]->branches = 0;
  do {
    Step step = Step::kOn;
    while (step == Step::kOn) {
      if (!within_bounds()) return tally_;
      step = forward();
    }
    if (step == Step::kEnd) {
      if (ended_ == Ending::kComplete) ++tally_.executions;
      if (ended_ == Ending::kBlocked) ++tally_.blocked;
      if (!visit(graph(), ended_)) {
        tally_.limit = Limit::kStopped;
        return tally_;
      }
    } else {
      ++tally_.dropped;
    }
  } while (backtrack());
  return tally_;
}

bool Explorer::within_bounds() {
  ++tally_.steps;
  if (tally_.executions + tally_.blocked >= bounds_.graphs) {
    tally_.limit = Limit::kGraphs;
  } else if (behaviour_.size() > bounds_.nodes) {
    tally_.limit = Limit::kNodes;
  } else if (tally_.steps % 4096 == 0 && std::chrono::steady_clock::now() >= bounds_.until) {
    tally_.limit = Limit::kTime;
  } else {
    return true;
  }
  return false;
}

/// Whether the worker would wait if it read that value.
bool Explorer::leaves_waiting(Node node, std::uint64_t value) {
  return behaviour_.request(node).reads() &&
         awaits(behaviour_.settle(behaviour_.next(node, value)));
}

/// Whether the newest value would leave the worker waiting.
bool Explorer::is_reluctant(Place at) {
  const Request& request = behaviour_.request(at.node);
  if (at.step != 0 || !request.reads()) return false;
  add_locations();
  const Graph& g = graph();
  return leaves_waiting(at.node, g.value(request.location, g.location(request.location).newest));
}

Explorer::Move Explorer::move_of(int thread) {
  Place at = place_of(behaviour_, graph(), thread);
  const Next next = next_of(behaviour_, graph(), thread, at, bounds_.spurious);
  return {thread, at, next};
}

/// The worker to move: one in the middle of a request, else the first that will not wait, else the
/// first that can move at all, else none.
Explorer::Move Explorer::schedule() {
  const Graph& g = graph();
  for (int t = 0; t < g.threads(); ++t) {
    if (!is_midway(g, t)) continue;
    const Move move = move_of(t);
    if (move.next != Next::kNothing && move.next != Next::kSleep) return move;
  }
  Move reluctant;
  for (int t = 0; t < g.threads(); ++t) {
    const Move move = move_of(t);
    if (move.next == Next::kNothing) continue;
    if (move.next == Next::kSleep) {
      if (waker(g, t) != kNone) return move;
    } else if (!is_reluctant(move.at)) {
      return move;
    } else if (reluctant.thread < 0) {
      reluctant = move;
    }
  }
  return reluctant;
}

Explorer::Step Explorer::forward() {
  Graph& g = graph();
  const auto [thread, at, next] = schedule();
  if (thread < 0) {
    ended_ = ending_of(behaviour_, g, bounds_.spurious);
    return Step::kEnd;
  }
  if (g.size() + 1 >= bounds_.events) {
    tally_.limit = Limit::kEvents;
    return Step::kDead;
  }
  add_locations();
  switch (next) {
    case Next::kRead: return add_read(thread, at);
    case Next::kWrite: return add_write(thread, at, true);
    case Next::kFence: {
      const std::memory_order order = behaviour_.request(at.node).order;
      const auto flags = static_cast<std::uint8_t>(read_flags(order) | write_flags(order));
      answer(g.append(thread, Kind::kFence, flags, 0, at.node, 0), 0);
      return Step::kOn;
    }
    case Next::kPlain: return add_plain(thread, at);
    case Next::kChoice:
      return add_choice(
          thread, at,
          alternatives(g, thread, behaviour_.request(at.node), at.step, bounds_.spurious));
    case Next::kSleep: {
      const Index wake = waker(g, thread);
      const Index event = g.append(thread, Kind::kResume, 0, 0, at.node, at.step);
      g.resume(event, wake);
      answer(event, static_cast<std::uint64_t>(WaitResult::kWoken));
      return Step::kOn;
    }
    case Next::kNothing: break;
  }
  return Step::kDead;
}

Explorer::Step Explorer::add_read(int thread, Place at) {
  Graph& g = graph();
  const ReadStep step = read_step(behaviour_.request(at.node), at.step);
  const int oldest =
      consistency_.oldest_visible(g, thread, g.last(thread), step.location, step.buffered);
  const Index newest = g.location(step.location).newest;
  const auto count = static_cast<Index>(g.size());
  for (Index w = newest; g.rank(w) > oldest;) {
    w = g.older(w);
    if (at.step == 0 && leaves_waiting(at.node, g.value(step.location, w))) {
      ++tally_.dropped;
      continue;
    }
    branches_.push_back({Branch::Kind::kRead, static_cast<std::uint8_t>(thread), count, w});
  }
  return read(thread, at, newest);
}

Explorer::Step Explorer::read(int thread, Place at, Index source) {
  Graph& g = graph();
  const int location = read_step(behaviour_.request(at.node), at.step).location;
  const Index event = g.append(thread, Kind::kRead, 0, location, at.node, at.step);
  if (!attach(event, source)) return Step::kDead;
  const bool stale = source != g.location(location).newest;
  return stale && !consistency_.has_total_order(g) ? Step::kDead : Step::kOn;
}

/// Lets a read take its value and the worker draw its conclusion. Returns whether that may lead
/// anywhere: a worker that waits after a stale read will never be answered otherwise.
bool Explorer::attach(Index event, Index source) {
  Graph& g = graph();
  const Event& e = g[event];
  const Request request = behaviour_.request(e.node);  // next() may move the nodes.
  const std::uint64_t seen = g.value(e.location, source);
  std::uint8_t flags = kExclusive | kLocked | kAcquire;  // The futex queue.
  Node next = kNoNode;
  if (request.reads()) {
    next = behaviour_.settle(behaviour_.next(e.node, seen));
    if (request.ask == Ask::kLoad) {
      flags = read_flags(request.order);
    } else if (request.writes(seen) && !awaits(next)) {
      flags = kExclusive | kLocked | read_flags(request.order);
      next = kNoNode;
    } else {
      const bool failed = request.ask == Ask::kCompare;
      flags = kLocked | read_flags(failed ? request.failure : request.order);
    }
  } else if (request.ask == Ask::kWait && e.step == 1) {
    flags = 0;
    if (static_cast<std::uint32_t>(seen) != request.expected) {
      next = behaviour_.settle(
          behaviour_.next(e.node, static_cast<std::uint64_t>(WaitResult::kMismatch)));
    }
  } else if (request.ask == Ask::kWait && e.step == 4 && (seen >> e.thread & 1) == 0) {
    next = kDeadEnd;
  }
  g.read_from(event, source, flags);
  g.set_next(event, next);
  return next == kNoNode || !awaits(next) || source == g.location(e.location).newest;
}

Explorer::Step Explorer::add_write(int thread, Place at, bool fresh) {
  const WriteStep step = write_step(behaviour_, graph(), thread, at);
  return (step.flags & kExclusive) != 0 ? add_second_half(thread, at, step, fresh)
                                        : add_store(thread, at, step, fresh);
}

Explorer::Step Explorer::add_store(int thread, Place at, const WriteStep& step, bool fresh) {
  Graph& g = graph();
  const int oldest = consistency_.oldest_visible(g, thread, g.last(thread), step.location, false);
  const Index newest = g.location(step.location).newest;
  const auto count = static_cast<Index>(g.size());
  for (Index w = newest; g.rank(w) > oldest;) {
    const bool consumes = g[w].is(kExclusive);  // Then nothing fits between it and its source.
    w = g.older(w);
    if (consumes) continue;
    branches_.push_back({Branch::Kind::kWrite, static_cast<std::uint8_t>(thread), count, w});
  }
  const Step result = write(thread, at, step, newest);
  if (fresh) push_revisits(count, kNone);
  return result;
}

Explorer::Step Explorer::add_second_half(int thread, Place at, const WriteStep& step, bool fresh) {
  Graph& g = graph();
  const Index source = g[first_half(g, thread, step.location)].source;
  const Index conflict = g.consumer(step.location, source);
  const auto index = static_cast<Index>(g.size());
  Step result = Step::kDead;
  if (conflict == kNone) {
    result = write(thread, at, step, source);
  } else {
    g.append(thread, Kind::kWrite, step.flags, step.location, at.node, at.step);
  }
  if (fresh) push_revisits(index, conflict);
  return result;
}

Explorer::Step Explorer::write(int thread, Place at, const WriteStep& step, Index predecessor) {
  Graph& g = graph();
  const Index event = g.append(thread, Kind::kWrite, step.flags, step.location, at.node, at.step);
  g.place(event, predecessor, step.value);
  if (step.completes) answer(event, step.answer);
  const bool newest = g.location(step.location).newest == event;
  return newest || consistency_.has_total_order(g) ? Step::kOn : Step::kDead;
}

Explorer::Step Explorer::add_plain(int thread, Place at) {
  Graph& g = graph();
  const Request& request = behaviour_.request(at.node);
  const bool writes = request.ask == Ask::kPlainWrite;
  const Index event = g.append(thread, writes ? Kind::kPlainWrite : Kind::kPlainRead, 0,
                               request.location, at.node, 0);
  answer(event, 0);
  for (Index other = g[event].older; other != kNone; other = g[other].older) {
    const Event& o = g[other];
    if (o.thread == thread || (!writes && o.kind == Kind::kPlainRead)) continue;
    if (!g[event].before.contains(o.thread, o.position)) {
      ended_ = Ending::kRace;
      return Step::kEnd;
    }
  }
  return Step::kOn;
}

Explorer::Step Explorer::add_choice(int thread, Place at, int alternatives) {
  const auto count = static_cast<Index>(graph().size());
  for (int choice = alternatives - 1; choice > 0; --choice) {
    branches_.push_back({Branch::Kind::kChoice, static_cast<std::uint8_t>(thread), count,
                         static_cast<Index>(choice)});
  }
  return choose(thread, at, 0);
}

Explorer::Step Explorer::choose(int thread, Place at, std::uint64_t choice) {
  const Index event = graph().append(thread, Kind::kChoice, 0, 0, at.node, at.step);
  graph().set_value(event, choice);
  if (behaviour_.request(at.node).ask == Ask::kChoice) answer(event, choice);
  return Step::kOn;
}

}  // namespace hobbs::explore::graph
