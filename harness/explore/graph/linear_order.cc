#include "harness/explore/graph/linear_order.h"

#include "harness/explore/graph/request_steps.h"

namespace hobbs::explore::graph {
namespace {

Pending::Kind kind_of(const Request& request) {
  switch (request.ask) {
    case Ask::kLoad: return Pending::Kind::kLoad;
    case Ask::kStore: return Pending::Kind::kStore;
    case Ask::kUpdate:
    case Ask::kCompare: return Pending::Kind::kUpdate;
    case Ask::kFence: return Pending::Kind::kFence;
    case Ask::kWait: return Pending::Kind::kFutexWait;
    case Ask::kWake: return Pending::Kind::kFutexWake;
    default: return Pending::Kind::kSection;
  }
}

/// The step of a futex wait with which its sleep ends.
constexpr int kEndOfSleep = 4;

}  // namespace

LinearOrder::LinearOrder(const WorkerBehaviour& behaviour, const Graph& graph, Model model)
    : behaviour_(behaviour), graph_(graph), model_(model) {
  make_vertices();
  order_threads();
  order_memory();
}

bool LinearOrder::buffered(const Event& event) const {
  return model_ == Model::kTso && event.is_write() && !event.is(kLocked);
}

LinearOrder::Vertex LinearOrder::visible(Index write) const {
  const auto at = static_cast<std::size_t>(write);
  return drain_of_[at] >= 0 ? drain_of_[at] : vertex_of_[at];
}

/// Whether the event happens in one step with the one before it in its thread.
bool LinearOrder::is_of_same_step(Index event) const {
  const Event& e = graph_[event];
  if (e.prior == kNone) return false;
  const Request& request = behaviour_.request(e.node);
  if (!request.own_step) return !request.weak;
  if (e.step == 0 || graph_[e.prior].node != e.node) return false;
  return !(request.ask == Ask::kWait && e.step == kEndOfSleep);
}

Item LinearOrder::item_of(Index event) const {
  const Event& e = graph_[event];
  const Request& request = behaviour_.request(e.node);
  Item item;
  item.worker = e.thread;
  item.kind = kind_of(request);
  // The end of a section comes in one move with what its worker does next.
  item.step = request.own_step && item.kind != Pending::Kind::kSection;
  item.resumes = request.ask == Ask::kWait && e.step == kEndOfSleep;
  item.time = item.resumes && e.kind == Kind::kRead;
  if (e.prior != kNone && graph_[e.prior].kind == Kind::kChoice && graph_[e.prior].value != 0 &&
      behaviour_.request(graph_[e.prior].node).weak) {
    item.kind = Pending::Kind::kUpdate;
    item.weak_fails = true;
  }
  return item;
}

LinearOrder::Vertex LinearOrder::add_vertex(Index event, bool drain) {
  items_.push_back(item_of(event));
  items_.back().drain = drain;
  events_.push_back(event);
  reads_.push_back(kNone);
  writes_.push_back(kNone);
  edges_.emplace_back();
  return static_cast<Vertex>(items_.size() - 1);
}

void LinearOrder::make_vertices() {
  const auto n = static_cast<std::size_t>(graph_.size());
  vertex_of_.assign(n, -1);
  drain_of_.assign(n, -1);
  // A thread's events in program order, whatever the order in which the search added them.
  for (int t = 0; t < graph_.threads(); ++t) {
    std::vector<Index> events;
    for (Index e = graph_.last(t); e != kNone; e = graph_[e].prior) events.push_back(e);
    for (auto it = events.rbegin(); it != events.rend(); ++it) {
      const Event& e = graph_[*it];
      const auto at = static_cast<std::size_t>(*it);
      vertex_of_[at] = is_of_same_step(*it) ? vertex_of_[static_cast<std::size_t>(e.prior)]
                                            : add_vertex(*it, false);
      const auto vertex = static_cast<std::size_t>(vertex_of_[at]);
      const Request& request = behaviour_.request(e.node);
      if (e.kind == Kind::kChoice && !request.own_step && !request.weak && e.value != 0) {
        items_[vertex].time = true;
      }
      const bool of_queue = request.ask == Ask::kWait || request.ask == Ask::kWake;
      if (e.is_read() && !of_queue) reads_[vertex] = *it;
      if (buffered(e)) drain_of_[at] = add_vertex(*it, true);
      if (e.is_write()) writes_[static_cast<std::size_t>(visible(*it))] = *it;
    }
  }
}

void LinearOrder::edge(Vertex from, Vertex to, bool soft) {
  if (from != to) edges_[static_cast<std::size_t>(from)].push_back({to, soft});
}

void LinearOrder::require(Index before, Index after) {
  if (before < 0 || after < 0) return;
  edge(vertex_of_[static_cast<std::size_t>(before)], vertex_of_[static_cast<std::size_t>(after)]);
}

void LinearOrder::order_threads() {
  for (int t = 0; t < graph_.threads(); ++t) {
    for (Index e = graph_.last(t); e != kNone; e = graph_[e].prior) {
      const Event& event = graph_[e];
      const Vertex vertex = vertex_of_[static_cast<std::size_t>(e)];
      if (event.prior != kNone) edge(vertex_of_[static_cast<std::size_t>(event.prior)], vertex);
      if (event.kind == Kind::kResume) require(event.source, e);
      if (model_ != Model::kTso) continue;
      if (drain_of_[static_cast<std::size_t>(e)] >= 0) {
        edge(vertex, drain_of_[static_cast<std::size_t>(e)]);
      }
      const bool drains = event.is(kLocked) || (event.kind == Kind::kFence && event.is(kSeqCst));
      const bool stores = drain_of_[static_cast<std::size_t>(e)] >= 0;
      if (!drains && !stores) continue;
      for (Index w = event.prior; w != kNone; w = graph_[w].prior) {
        const Vertex earlier = drain_of_[static_cast<std::size_t>(w)];
        if (earlier < 0) continue;
        edge(earlier, stores ? drain_of_[static_cast<std::size_t>(e)] : vertex);
        break;
      }
    }
  }
}

void LinearOrder::order_memory() {
  for (Index e = 0; e < graph_.size(); ++e) {
    const Event& event = graph_[e];
    if (!event.is_read() || event.source == kNone) continue;
    const Vertex reads = vertex_of_[static_cast<std::size_t>(e)];
    const bool own = event.source >= 0 && graph_[event.source].thread == event.thread;
    if (event.source >= 0 && !own) edge(visible(event.source), reads);
    const Index overwriter = graph_.newer(event.location, event.source);
    if (overwriter != kNone) edge(reads, visible(overwriter), model_ == Model::kC11);
  }
  for (int l = 0; l < graph_.locations(); ++l) order_location(l);
  if (model_ == Model::kC11) order_seq_cst();
}

void LinearOrder::order_location(int location) {
  for (Index w = graph_.location(location).newest; w != kInitial; w = graph_.older(w)) {
    const Index older = graph_.older(w);
    if (older == kInitial) break;
    edge(visible(older), visible(w), model_ == Model::kC11);
    if (model_ != Model::kC11) continue;
    // The explorer's updates and seq_cst stores go to the end of the order as it is then.
    for (Index before = older; before != kInitial; before = graph_.older(before)) {
      if (graph_[before].is(kExclusive) || graph_[before].is(kSeqCst)) {
        edge(visible(before), visible(w));
      }
    }
  }
}

/// A seq_cst read sees nothing that an earlier seq_cst store has overwritten.
void LinearOrder::order_seq_cst() {
  for (Index e = 0; e < graph_.size(); ++e) {
    const Event& event = graph_[e];
    if (!event.is_read() || event.source == kNone || !event.is(kSeqCst)) continue;
    for (Index w = graph_.location(event.location).newest; w != event.source; w = graph_.older(w)) {
      if (graph_[w].is(kSeqCst)) edge(vertex_of_[static_cast<std::size_t>(e)], visible(w));
    }
  }
}

/// How many writes that come after `write` are done.
int LinearOrder::newer_than(int location, Index write, const std::vector<bool>& done) const {
  int count = 0;
  for (Index w = graph_.location(location).newest; w != write; w = graph_.older(w)) {
    if (done[static_cast<std::size_t>(visible(w))]) ++count;
  }
  return count;
}

std::vector<Item> LinearOrder::items() {
  const std::size_t n = items_.size();
  std::vector<int> hard(n), soft(n);
  for (const auto& edges : edges_) {
    for (const Edge& edge : edges) ++(edge.soft ? soft : hard)[static_cast<std::size_t>(edge.to)];
  }
  std::vector<bool> done(n);
  std::vector<Item> order;
  int current = -1;
  while (order.size() < n) {
    std::size_t best = n;
    const auto worse = [&](std::size_t a, std::size_t b) {  // a than b
      if (soft[a] != soft[b]) return soft[a] > soft[b];
      return items_[a].worker != current && items_[b].worker == current;
    };
    for (std::size_t v = 0; v < n; ++v) {
      if (!done[v] && hard[v] == 0 && (best == n || worse(best, v))) best = v;
    }
    if (best == n) return {};
    Item item = items_[best];
    if (model_ == Model::kC11) {
      if (writes_[best] != kNone) {
        item.back = newer_than(graph_[writes_[best]].location, writes_[best], done);
      }
      if (reads_[best] != kNone && !graph_[reads_[best]].is(kExclusive)) {
        const Event& read = graph_[reads_[best]];
        item.back = read.source == kNone ? 0 : newer_than(read.location, read.source, done);
      }
    }
    done[best] = true;
    order.push_back(item);
    if (!item.drain) current = item.worker;
    for (const Edge& edge : edges_[best]) {
      --(edge.soft ? soft : hard)[static_cast<std::size_t>(edge.to)];
    }
  }
  return order;
}

}  // namespace hobbs::explore::graph
