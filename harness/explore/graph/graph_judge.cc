#include "harness/explore/graph/graph_judge.h"

#include <algorithm>
#include <array>

#include "harness/explore/graph/linear_order.h"
#include "harness/explore/graph/request_steps.h"

namespace hobbs::explore::graph {
namespace {

bool acquires(Verb verb) {
  return verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed;
}

/// Whether `a` comes before `b` in all orders of a sequentially consistent execution, or is `b`.
bool comes_first(const Graph& graph, Index a, Index b) {
  if (graph[b].causes.contains(graph[a].thread, graph[a].position)) return true;
  std::array<std::uint64_t, kMaxEvents / 64> seen;
  std::array<Index, kMaxEvents> pending;
  std::fill_n(seen.begin(), (graph.size() + 63) / 64, std::uint64_t{0});
  std::size_t n_pending = 0;
  const auto visit = [&](Index e) {
    if (e < 0) return;
    std::uint64_t& word = seen[static_cast<std::size_t>(e) / 64];
    const std::uint64_t bit = std::uint64_t{1} << (e % 64);
    if ((word & bit) != 0) return;
    word |= bit;
    pending[n_pending++] = e;
  };
  visit(b);
  while (n_pending > 0) {
    const Index at = pending[--n_pending];
    if (at == a) return true;
    const Event& e = graph[at];
    visit(e.prior);
    if (e.is_read() || e.kind == Kind::kResume) visit(e.source);
    if (!e.is_write() || e.older == kNone) continue;
    visit(e.older);
    for (Index r = graph.first_reader(e.location, e.older); r != kNone; r = graph[r].sibling) {
      visit(r);
    }
  }
  return false;
}

}  // namespace

GraphJudge::GraphJudge(const LockSpec& lock, WorkerBehaviour& behaviour, Model model)
    : lock_(lock), behaviour_(behaviour), model_(model) {
  constexpr std::size_t kUsualHolds = 16;
  holds_.reserve(kUsualHolds);
  windows_.reserve(kUsualHolds);
  crowd_.reserve(kUsualHolds);
  thread_.holds.reserve(kUsualHolds);
  thread_.windows.reserve(kUsualHolds);
}

void GraphJudge::open_hold(Mode mode, Thread& thread) {
  thread.holds.push_back(holds_.size());
  holds_.push_back({thread.number, mode, thread.last, kNone});
}

void GraphJudge::close_hold(Thread& thread) {
  if (thread.holds.empty()) return;
  holds_[thread.holds.back()].end = thread.last;
  thread.holds.pop_back();
}

void GraphJudge::begin(const Step& step, Thread& thread) {
  thread.calling = true;
  thread.call_first = kNone;
  if (acquires(step.verb)) {
    const bool at_once = step.verb == Verb::kAcquire;  // Others begin where the explorer likes.
    thread.windows.push_back(windows_.size());
    windows_.push_back({thread.number, step.mode, thread.last, kNone, kNone, at_once, false});
  } else if (step.verb == Verb::kRelease) {
    close_hold(thread);
  } else if (step.verb == Verb::kDowngrade) {
    close_hold(thread);
    open_hold(Mode::kShared, thread);
  }
}

void GraphJudge::end(const Mark& mark, Thread& thread) {
  thread.calling = false;
  const Verb verb = mark.step.verb;
  const bool took = hobbs::holds(mark.outcome);
  if (acquires(verb)) {
    const bool may_fail = (verb == Verb::kTry && mark.outcome == Outcome::kBusy) ||
                          (verb == Verb::kTimed && mark.outcome == Outcome::kTimedOut);
    if (mark.outcome != Outcome::kAcquired && (!may_fail || mark.early)) {
      wrong_ = "an acquire ends with \"" + std::string(to_string(mark.outcome)) + "\"";
    }
    if (took) return open_hold(mark.step.mode, thread);
    Window& window = windows_[thread.windows.back()];
    thread.windows.pop_back();
    window.last = thread.last;
    window.failed_try = verb == Verb::kTry;
    failures_.push_back({thread.number, mark.step.mode, thread.call_first, thread.last});
  } else if (verb == Verb::kUpgrade || verb == Verb::kTryUpgrade) {
    if (!took) return;
    close_hold(thread);
    open_hold(Mode::kExclusive, thread);
    if (!thread.windows.empty()) windows_[thread.windows.back()].mode = Mode::kExclusive;
  } else {
    if (mark.outcome != Outcome::kReleased) {
      wrong_ = "a release ends with \"" + std::string(to_string(mark.outcome)) + "\"";
    }
    if (verb != Verb::kRelease || thread.windows.empty()) return;
    windows_[thread.windows.back()].last = thread.last;
    thread.windows.pop_back();
  }
}

void GraphJudge::take(const Mark& mark, Thread& thread) {
  mark.begins ? begin(mark.step, thread) : end(mark, thread);
}

/// Reads the calls of one thread off its events.
void GraphJudge::look_at(const Graph& graph, int number) {
  thread_.number = number;
  thread_.last = kNone;
  thread_.holds.clear();
  thread_.windows.clear();
  thread_.calling = false;
  Node node = kNoNode;
  for (Index e = 0; e < graph.size(); ++e) {
    const Event& event = graph[e];
    if (event.thread != number) continue;
    if (event.node != node) {
      node = event.node;
      for (const Mark& mark : behaviour_.marks(node)) take(mark, thread_);
    }
    if (thread_.calling && thread_.call_first == kNone) {
      thread_.call_first = e;
      if (!thread_.windows.empty()) {
        Window& window = windows_[thread_.windows.back()];
        if (window.first == kNone) window.first = e;
      }
    }
    thread_.last = e;
  }
  const Place at = place_of(behaviour_, graph, number);
  if (at.step != 0 || at.node == kDeadEnd || at.node == node) return;
  for (const Mark& mark : behaviour_.marks(at.node)) take(mark, thread_);
}

/// Whether `a` comes before `b` in all orders that the graph stands for, as far as that is easily
/// seen: exact under sc and c11.
bool GraphJudge::ordered(const Graph& graph, Index a, Index b) const {
  if (a < 0 || b < 0) return false;
  if (graph[b].causes.contains(graph[a].thread, graph[a].position)) return true;
  return model_ == Model::kSc && comes_first(graph, a, b);
}

bool GraphJudge::can_overlap(const Graph& graph, const Hold& a, const Hold& b) const {
  if (a.thread == b.thread || a.begin == kNone || b.begin == kNone) return false;
  if (a.begin == a.end && b.begin == b.end) return false;  // Nothing is done inside of either.
  return (a.end == kNone || !ordered(graph, a.end, b.begin)) &&
         (b.end == kNone || !ordered(graph, b.end, a.begin));
}

bool GraphJudge::is_possible(const Graph& graph, const Suspicion& suspicion) const {
  LinearOrder order(behaviour_, graph, model_);
  for (const auto& [before, after] : suspicion.order) order.require(before, after);
  return !order.items().empty();
}

/// Holds that more than may hold the lock at once can have at once.
std::optional<Suspicion> GraphJudge::find_crowd(const Graph& graph, std::size_t from) {
  const std::size_t allowed = lock_.claims.semaphore ? lock_.claims.permits : 1;
  if (crowd_.size() > allowed) {
    Suspicion found;
    found.about = "more workers hold the lock at once than may";
    for (const std::size_t i : crowd_) {
      for (const std::size_t j : crowd_) {
        if (i != j && holds_[j].end != kNone) {
          found.order.emplace_back(holds_[i].begin, holds_[j].end);
        }
      }
    }
    // What is not visibly ordered under tso may still be so through the store buffers.
    if (model_ == Model::kTso && !is_possible(graph, found)) return std::nullopt;
    return found;
  }
  for (std::size_t i = from; i < holds_.size(); ++i) {
    const auto fits = [&](std::size_t other) {
      const bool both_shared =
          holds_[i].mode == Mode::kShared && holds_[other].mode == Mode::kShared;
      return !both_shared && can_overlap(graph, holds_[i], holds_[other]);
    };
    if (!std::all_of(crowd_.begin(), crowd_.end(), fits)) continue;
    crowd_.push_back(i);
    std::optional<Suspicion> found = find_crowd(graph, i + 1);
    if (found) return found;
    crowd_.pop_back();
  }
  return std::nullopt;
}

/// A failure during which, in some order, nobody else held or wanted the lock.
std::optional<Suspicion> GraphJudge::find_groundless(const Graph& graph) const {
  if (model_ != Model::kSc || lock_.claims.spurious_try_failure) return std::nullopt;
  if (lock_.claims.semaphore && lock_.claims.permits > 1) return std::nullopt;
  for (const Failure& failure : failures_) {
    if (failure.first == kNone) continue;
    std::vector<const Window*> before, after;
    for (const Window& w : windows_) {
      if (w.thread == failure.thread || w.failed_try) continue;
      if (w.mode == Mode::kShared && failure.mode == Mode::kShared) continue;
      // An acquire that nothing precedes has begun before everything.
      const Index begins = w.at_once ? w.before : w.first;
      const bool early = w.at_once && w.before == kNone;
      (early || ordered(graph, begins, failure.last) ? before : after).push_back(&w);
    }
    for (std::size_t i = 0; i < before.size(); ++i) {
      std::erase_if(after, [&](const Window* w) {
        const Index begins = w->at_once ? w->before : w->first;
        if (before[i]->last == kNone || !ordered(graph, begins, before[i]->last)) return false;
        before.push_back(w);
        return true;
      });
    }
    const bool excused = std::any_of(before.begin(), before.end(), [&](const Window* w) {
      return w->last == kNone || ordered(graph, failure.first, w->last);
    });
    if (excused) continue;
    Suspicion found;
    found.about = "a try fails although nobody else holds or wants the lock";
    for (const Window* w : before) found.order.emplace_back(w->last, failure.first);
    for (const Window* w : after) {
      found.order.emplace_back(failure.last, w->at_once ? w->before : w->first);
    }
    return found;
  }
  return std::nullopt;
}

/// Whether all that are not done sleep or spin, and nobody but a deadline could end that.
bool GraphJudge::sleeps_for_good(const Graph& graph) {
  for (int t = 0; t < graph.threads(); ++t) {
    Place at = place_of(behaviour_, graph, t);
    if (at.node == kDeadEnd) return false;
    const Request& request = behaviour_.request(at.node);
    if (request.ask == Ask::kDone) continue;
    if (next_of(behaviour_, graph, t, at, 0) != Next::kSleep) return false;
  }
  return true;
}

std::optional<Suspicion> GraphJudge::judge(const Graph& graph, Ending ending) {
  if (ending == Ending::kFailure) return std::nullopt;
  if (ending == Ending::kBlocked) {
    if (!sleeps_for_good(graph)) return std::nullopt;  // A fairer execution is judged elsewhere.
    return Suspicion{"a sleeper is saved only by its deadline", {}};
  }
  holds_.clear();
  windows_.clear();
  failures_.clear();
  wrong_.clear();
  for (int t = 0; t < graph.threads(); ++t) look_at(graph, t);
  if (!wrong_.empty()) return Suspicion{wrong_, {}};
  crowd_.clear();
  if (std::optional<Suspicion> found = find_crowd(graph, 0)) return found;
  if (ending == Ending::kRace) return Suspicion{"the guarded data is raced for", {}};
  if (ending == Ending::kDeadlock) return Suspicion{"workers wait for ever", {}};
  return failures_.empty() ? std::nullopt : find_groundless(graph);
}

}  // namespace hobbs::explore::graph
