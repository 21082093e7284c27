#include "harness/explore/graph/graph.h"

#include <algorithm>
#include <utility>

namespace hobbs::explore::graph {

void Graph::reset(int threads) {
  locations_.clear();
  locations_.reserve(Behaviour::kUsualLocations);
  std::fill(std::begin(last_), std::end(last_), kNone);
  size_ = 0;
  threads_ = threads;
  seq_cst_ = 0;
}

void Graph::grow(int events) {
  const int room = 2 * events + 30;
  auto grown = std::make_unique_for_overwrite<Event[]>(static_cast<std::size_t>(room));
  std::copy_n(events_.get(), room_, grown.get());
  events_ = std::move(grown);
  room_ = room;
}

Index Graph::newer(int location, Index write) const {
  if (write != kInitial) return at(write).newer;
  Index found = kNone;
  for (Index w = this->location(location).newest; w != kInitial; w = at(w).older) found = w;
  return found;
}

Index Graph::consumer(int location, Index write) const {
  const Index next = newer(location, write);
  return next != kNone && at(next).is(kExclusive) && at(next).source == write ? next : kNone;
}

void Graph::start_clocks(Event& event) const {
  if (event.prior != kNone) {
    const Event& prior = at(event.prior);
    event.causes = prior.causes;
    event.before = prior.before;
    event.acquirable = prior.acquirable;
    event.fenced = prior.fenced;
  } else {
    event.causes = event.before = event.acquirable = event.fenced = Clock{};
  }
  event.causes.set(event.thread, event.position + 1);
  event.before.set(event.thread, event.position + 1);
}

Index Graph::append(int thread, Kind kind, std::uint8_t flags, int location, Node node, int step) {
  const auto index = static_cast<Index>(size_++);
  make_room(size_);
  Event& event = at(index);
  // (Field by field: clearing the whole by a string instruction takes longer than all the rest.)
  event.kind = kind;
  event.flags = flags;
  event.thread = static_cast<std::uint8_t>(thread);
  event.location = static_cast<std::uint8_t>(location);
  event.step = static_cast<std::uint8_t>(step);
  event.prior = last_[thread];
  event.position =
      event.prior == kNone ? Index{0} : static_cast<Index>(at(event.prior).position + 1);
  event.source = event.reader = event.sibling = event.older = event.newer = kNone;
  event.rank = 0;
  event.node = node;
  event.next = kNoNode;
  event.value = 0;
  event.released = Clock{};
  last_[thread] = index;
  if (kind != Kind::kRead) start_clocks(event);  // A read's start when it has a source.
  if (event.is(kSeqCst)) ++seq_cst_;
  if (kind == Kind::kFence) {
    if (event.is(kAcquire)) event.before.join(event.acquirable);
    if (event.is(kRelease)) event.fenced = event.before;
  } else if (kind == Kind::kPlainRead || kind == Kind::kPlainWrite) {
    event.older = locations_[event.location].accessed;
    locations_[event.location].accessed = index;
  }
  return index;
}

void Graph::link_reader(Index read, Index source) {
  Index& head = source == kInitial ? locations_[at(read).location].reader : at(source).reader;
  at(read).source = source;
  at(read).sibling = head;
  head = read;
}

void Graph::unlink_reader(Index read) {
  Event& event = at(read);
  Index* link =
      event.source == kInitial ? &locations_[event.location].reader : &at(event.source).reader;
  while (*link != read) link = &at(*link).sibling;
  *link = event.sibling;
  event.source = event.sibling = kNone;
}

void Graph::read_from(Index read, Index source, std::uint8_t flags) {
  Event& event = at(read);
  event.flags = flags;
  if (event.is(kSeqCst)) ++seq_cst_;
  start_clocks(event);
  link_reader(read, source);
  event.value = value(event.location, source);
  if (source == kInitial) return;
  const Event& write = at(source);
  event.causes.join(write.causes);
  event.acquirable.join(write.released);
  if (event.is(kAcquire)) event.before.join(write.released);
}

void Graph::resume(Index event, Index wake) {
  at(event).source = wake;
  at(event).causes.join(at(wake).causes);
  at(event).before.join(at(wake).before);
}

void Graph::place(Index write, Index predecessor, std::uint64_t value) {
  Event& event = at(write);
  Location& location = locations_[event.location];
  event.value = value;
  event.released = event.is(kRelease) ? event.before : event.fenced;
  if (event.is(kExclusive)) {
    event.source = predecessor;  // It consumes its predecessor and continues its release sequence.
    if (predecessor != kInitial) event.released.join(at(predecessor).released);
  }
  const Index successor =
      predecessor == location.newest ? kNone : newer(event.location, predecessor);
  event.older = predecessor;
  event.newer = successor;
  event.rank = static_cast<Index>(rank(predecessor) + 1);
  if (predecessor != kInitial) at(predecessor).newer = write;
  if (successor == kNone) {
    location.newest = write;
  } else {
    at(successor).older = write;
    for (Index w = successor; w != kNone; w = at(w).newer) ++at(w).rank;
  }
}

void Graph::unlink_write(Index write) {
  Event& event = at(write);
  if (event.older == kNone) return;  // Never placed.
  Location& location = locations_[event.location];
  if (event.older != kInitial) at(event.older).newer = event.newer;
  if (event.newer == kNone) {
    location.newest = event.older;
  } else {
    at(event.newer).older = event.older;
    for (Index w = event.newer; w != kNone; w = at(w).newer) --at(w).rank;
  }
  for (Index r = event.reader; r != kNone;) {
    const Index sibling = at(r).sibling;
    at(r).source = at(r).sibling = kNone;
    if (at(r).is(kSeqCst)) --seq_cst_;
    at(r).flags = 0;
    r = sibling;
  }
}

void Graph::remove_last() {
  const auto index = static_cast<Index>(--size_);
  Event& event = at(index);
  last_[event.thread] = event.prior;
  if (event.is(kSeqCst)) --seq_cst_;
  switch (event.kind) {
    case Kind::kRead:
      if (event.source != kNone) unlink_reader(index);
      break;
    case Kind::kWrite: unlink_write(index); break;
    case Kind::kPlainRead:
    case Kind::kPlainWrite: locations_[event.location].accessed = event.older; break;
    case Kind::kFence:
    case Kind::kChoice:
    case Kind::kResume: break;
  }
}

void Graph::truncate(int size) {
  while (size_ > size) remove_last();
}

Index Graph::restrict_into(Graph& to, Index read, const Clock& prefix) const {
  // Events keep their order. `moved` says where each kept event goes.
  Index moved_from_initial[2 + kMaxEvents];
  Index* const moved = moved_from_initial + 2;  // kNone and kInitial stay themselves.
  moved[kNone] = kNone;
  moved[kInitial] = kInitial;
  to.threads_ = threads_;
  to.size_ = 0;
  to.seq_cst_ = 0;
  to.locations_ = locations_;
  to.make_room(size_);
  std::fill(std::begin(to.last_), std::end(to.last_), kNone);
  for (Index i = 0; i < size_; ++i) {
    const Event& event = at(i);
    if (i > read && !prefix.contains(event.thread, event.position)) {
      moved[i] = kNone;
      continue;
    }
    const auto index = static_cast<Index>(to.size_++);
    moved[i] = index;
    Event& copy = to.at(index);
    copy = event;
    copy.prior = moved[event.prior];
    copy.reader = copy.sibling = kNone;
    to.last_[event.thread] = index;
    if (i == read) {
      copy.flags = 0;
      copy.source = kNone;
    } else if (copy.is(kSeqCst)) {
      ++to.seq_cst_;
    }
  }
  for (std::size_t l = 0; l < locations_.size(); ++l) {
    Location& location = to.locations_[l];
    location.reader = location.accessed = kNone;
    location.newest = kInitial;
    Index newer = kNone;
    for (Index w = locations_[l].newest; w != kInitial; w = at(w).older) {
      if (moved[w] == kNone) continue;
      (newer == kNone ? location.newest : to.at(newer).older) = moved[w];
      to.at(moved[w]).newer = newer;
      newer = moved[w];
    }
    if (newer != kNone) to.at(newer).older = kInitial;
    Index rank = 0;
    for (Index w = newer; w != kNone; w = to.at(w).newer) to.at(w).rank = ++rank;
  }
  for (Index i = 0; i < to.size_; ++i) {
    Event& copy = to.at(i);
    if (copy.kind == Kind::kPlainRead || copy.kind == Kind::kPlainWrite) {
      copy.older = to.locations_[copy.location].accessed;
      to.locations_[copy.location].accessed = i;
    } else if (copy.source != kNone) {
      const Index source = moved[copy.source];
      if (copy.is_read()) {
        to.link_reader(i, source);
      } else {
        copy.source = source;
      }
    }
  }
  return moved[read];
}

}  // namespace hobbs::explore::graph
