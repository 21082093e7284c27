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
}

bool LinearOrder::buffered(const Event& event) const {
  return model_ == Model::kTso && event.is_write() && !event.is(kLocked);
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
  vertices_.push_back({.item = item_of(event), .event = event});
  vertices_.back().item.drain = drain;
  return static_cast<Vertex>(vertices_.size() - 1);
}

void LinearOrder::make_vertices() {
  const auto n = static_cast<std::size_t>(graph_.size());
  const bool tso = model_ == Model::kTso;
  vertex_of_.assign(n, -1);
  if (tso) drain_of_.assign(n, -1);
  vertices_.reserve(tso ? 2 * n : n);
  for (int t = 0; t < graph_.threads(); ++t) {
    for (Index e = 0; e < graph_.size(); ++e) {
      if (graph_[e].thread == t) make_vertex(e);
    }
  }
}

void LinearOrder::make_vertex(Index event) {
  const Event& e = graph_[event];
  const auto index = static_cast<std::size_t>(event);
  vertex_of_[index] = is_of_same_step(event) ? vertex_of(e.prior) : add_vertex(event, false);
  Record& vertex = at(vertex_of_[index]);
  const Request& request = behaviour_.request(e.node);
  if (e.kind == Kind::kChoice && !request.own_step && !request.weak && e.value != 0) {
    vertex.item.time = true;
  }
  const bool of_queue = request.ask == Ask::kWait || request.ask == Ask::kWake;
  if (e.is_read() && !of_queue) vertex.reads = event;
  if (buffered(e)) drain_of_[index] = add_vertex(event, true);
  if (e.is_write()) at(visible(event)).writes = event;
}

void LinearOrder::edge(Vertex from, Vertex to, bool soft) {
  if (from == to) return;
  edges_.push_back({to, soft, at(from).edges});
  at(from).edges = static_cast<int>(edges_.size() - 1);
  ++(soft ? at(to).should_wait : at(to).must_wait);
}

void LinearOrder::require(Index before, Index after) {
  if (before >= 0 && after >= 0) edge(vertex_of(before), vertex_of(after));
}

void LinearOrder::order_threads() {
  for (int t = 0; t < graph_.threads(); ++t) {
    for (Index e = graph_.last(t); e != kNone; e = graph_[e].prior) {
      const Event& event = graph_[e];
      if (event.prior != kNone) edge(vertex_of(event.prior), vertex_of(e));
      if (event.kind == Kind::kResume) require(event.source, e);
      if (model_ == Model::kTso) order_drains(e);
    }
  }
}

/// A store drains behind those before it; what drains the buffer comes behind them.
void LinearOrder::order_drains(Index e) {
  const Event& event = graph_[e];
  const bool stores = drain_of(e) >= 0;
  if (stores) edge(vertex_of(e), drain_of(e));
  const bool drains = event.is(kLocked) || (event.kind == Kind::kFence && event.is(kSeqCst));
  if (!drains && !stores) return;
  for (Index w = event.prior; w != kNone; w = graph_[w].prior) {
    if (drain_of(w) < 0) continue;
    edge(drain_of(w), stores ? drain_of(e) : vertex_of(e));
    break;
  }
}

void LinearOrder::order_memory() {
  for (Index e = 0; e < graph_.size(); ++e) {
    const Event& event = graph_[e];
    if (!event.is_read() || event.source == kNone) continue;
    const Vertex reads = vertex_of(e);
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
      if (graph_[w].is(kSeqCst)) edge(vertex_of(e), visible(w));
    }
  }
}

/// How many writes that come after `write` are done.
int LinearOrder::newer_than(int location, Index write) const {
  int count = 0;
  for (Index w = graph_.location(location).newest; w != write; w = graph_.older(w)) {
    if (at(visible(w)).done) ++count;
  }
  return count;
}

/// One that can come next, of the worker that moved last if that breaks no wish; -1: none can.
LinearOrder::Vertex LinearOrder::next_vertex(int current) const {
  Vertex best = -1;
  for (Vertex v = 0; v < static_cast<Vertex>(vertices_.size()); ++v) {
    const Record& vertex = at(v);
    if (vertex.done || vertex.must_wait > 0) continue;
    const bool better =
        best < 0 || (at(best).should_wait != vertex.should_wait
                         ? at(best).should_wait > vertex.should_wait
                         : at(best).item.worker != current && vertex.item.worker == current);
    if (better) best = v;
  }
  return best;
}

/// The item of the vertex that comes next.
Item LinearOrder::done(Vertex v) {
  Record& vertex = at(v);
  Item item = vertex.item;
  if (model_ == Model::kC11) {
    if (vertex.writes != kNone) {
      item.back = newer_than(graph_[vertex.writes].location, vertex.writes);
    }
    if (vertex.reads != kNone && !graph_[vertex.reads].is(kExclusive)) {
      const Event& read = graph_[vertex.reads];
      item.back = read.source == kNone ? 0 : newer_than(read.location, read.source);
    }
  }
  vertex.done = true;
  for (int i = vertex.edges; i >= 0; i = edges_[static_cast<std::size_t>(i)].next) {
    const Edge& edge = edges_[static_cast<std::size_t>(i)];
    --(edge.soft ? at(edge.to).should_wait : at(edge.to).must_wait);
  }
  return item;
}

/// Whether everything could happen in the order in which it was added: each read reads what was
/// newest then, and each write was the newest.
bool LinearOrder::happened_as_added() const {
  std::vector<Index> newest(static_cast<std::size_t>(graph_.locations()), kInitial);
  for (Index e = 0; e < graph_.size(); ++e) {
    const Event& event = graph_[e];
    if (!event.is_read() && !event.is_write()) continue;
    Index& write = newest[event.location];
    if ((event.is_read() ? event.source : event.older) != write) return false;
    if (event.is_write()) write = e;
  }
  return true;
}

std::vector<Item> LinearOrder::as_added() const {
  std::vector<Item> order;
  order.reserve(vertices_.size());
  for (Index e = 0; e < graph_.size(); ++e) {
    if (at(vertex_of(e)).event == e) order.push_back(at(vertex_of(e)).item);
    if (drain_of(e) >= 0) order.push_back(at(drain_of(e)).item);
  }
  return order;
}

std::vector<Item> LinearOrder::items() {
  if (edges_.empty() && happened_as_added()) return as_added();
  constexpr std::size_t kUsualEdges = 4;  // Of an event.
  edges_.reserve(kUsualEdges * static_cast<std::size_t>(graph_.size()));
  order_threads();
  order_memory();
  std::vector<Item> order;
  order.reserve(vertices_.size());
  int current = -1;
  while (order.size() < vertices_.size()) {
    const Vertex next = next_vertex(current);
    if (next < 0) return {};
    order.push_back(done(next));
    if (!order.back().drain) current = order.back().worker;
  }
  return order;
}

}  // namespace hobbs::explore::graph
