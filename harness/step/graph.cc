#include "harness/step/graph.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace hobbs::step {
namespace {

std::uint8_t marks_of(const Event& event) {
  if (!event.returned || !holds(event.outcome)) return 0;
  return event.outcome == Outcome::kOwnerDied ? kTold : kAcquired;
}

/// Whole words, compared inline: states are compared more often than anything else is done.
bool same_words(const std::uint8_t* a, const std::uint8_t* b, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += 8) {
    std::uint64_t left, right;
    std::memcpy(&left, a + at, 8);
    std::memcpy(&right, b + at, 8);
    if (left != right) return false;
  }
  return true;
}

}  // namespace

Graph::Graph(World& world, const CalmWords* calm)
    : world_(world), space_(world, calm), slots_(1u << 12) {}

void Graph::write(const Compact& state, std::uint8_t* bytes) const {
  std::memset(bytes + stride_ - 8, 0, 8);  // The last word may be half used.
  std::memcpy(bytes, &state.head, head_bytes_);
  std::memcpy(bytes + head_bytes_, &state.shared, 4);
  std::memcpy(bytes + head_bytes_ + 4, state.locals, locals_bytes_);
}

Compact Graph::state(std::uint32_t index) const {
  Compact made;
  const std::uint8_t* bytes = states_.data() + index * stride_;
  std::memcpy(static_cast<void*>(&made.head), bytes, head_bytes_);
  std::memcpy(&made.shared, bytes + head_bytes_, 4);
  std::memcpy(made.locals, bytes + head_bytes_ + 4, locals_bytes_);
  return made;
}

Graph::Slot& Graph::slot_of(const std::uint8_t* bytes, std::uint64_t hash) {
  std::size_t at = hash & (slots_.size() - 1);
  for (; slots_[at].number != 0; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].hash == static_cast<std::uint32_t>(hash >> 32) &&
        same_words(states_.data() + (slots_[at].number - 1) * stride_, bytes, stride_)) {
      break;
    }
  }
  return slots_[at];
}

void Graph::grow() {
  slots_.assign(2 * slots_.size(), {});
  for (std::uint32_t i = 0; i < origins_.size(); ++i) {
    const std::uint8_t* bytes = states_.data() + i * stride_;
    const std::uint64_t hash = hash_of({reinterpret_cast<const char*>(bytes), stride_});
    std::size_t at = hash & (slots_.size() - 1);
    while (slots_[at].number != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {i + 1, static_cast<std::uint32_t>(hash >> 32)};
  }
}

/// Most of the time goes into waiting for memory: it is asked for before it is needed.
void Graph::prepare(Successor& successor, const Compact& state) const {
  write(state, successor.bytes);
  successor.hash = hash_of({reinterpret_cast<const char*>(successor.bytes), stride_});
  __builtin_prefetch(&slots_[successor.hash & (slots_.size() - 1)]);
}

std::uint32_t Graph::visit(const Successor& successor) {
  if (2 * (origins_.size() + 1) > slots_.size()) grow();
  Slot& slot = slot_of(successor.bytes, successor.hash);
  if (slot.number == 0) {
    states_.insert(states_.end(), successor.bytes, successor.bytes + stride_);
    origins_.push_back(successor.origin);
    slot = {static_cast<std::uint32_t>(origins_.size()),
            static_cast<std::uint32_t>(successor.hash >> 32)};
  }
  return slot.number - 1;
}

bool Graph::limit_reached(const SearchLimits& limits) {
  if (origins_.size() >= limits.states_max) {
    summary_ = "stopped at " + std::to_string(origins_.size()) + " states";
    return true;
  }
  if (first_edge_.size() % 1024 != 0 ||
      std::chrono::steady_clock::now().time_since_epoch().count() <= limits.deadline_ns) {
    return false;
  }
  summary_ = "out of time after " + std::to_string(origins_.size()) + " states";
  return true;
}

void Graph::note(const Incident& incident, std::uint32_t from, const Transition& transition) {
  if (has_violation_) return;
  summary_ = incident.summary;
  rule_ = incident.rule;
  offence_ = path_to(from);
  offence_.push_back(transition);
  has_violation_ = incident.kind == Incident::Kind::kViolation;
}

/// Takes one transition. kComplete: go on.
Graph::End Graph::follow(std::uint32_t index, const Compact& from, const Transition& transition,
                         const SearchLimits& limits, Successor& successor) {
  Compact next = from;
  Event event;
  ++transitions_;
  const Incident incident = space_.step(next, transition, event);
  const std::uint8_t drains =
      incident.none() ? space_.drain_calm(next, transition.worker) : std::uint8_t{0};
  if (space_.is_surprised()) return End::kSurprise;
  successor.origin = {index, transition, drains};
  successor.edge = {index, static_cast<std::uint8_t>(transition.kind), transition.worker,
                    marks_of(event)};
  if (incident.none()) {
    prepare(successor, next);
    return End::kComplete;
  }
  note(incident, index, transition);
  if (incident.kind == Incident::Kind::kUnknown) return End::kUnknown;
  if (!limits.past_violations) return End::kViolation;
  successor.edge.marks |= kBroke;
  return End::kComplete;
}

Graph::End Graph::explore(const State& start, const SearchLimits& limits) {
  head_bytes_ = head_bytes(start.head.count);
  locals_bytes_ = 4u * start.head.count;
  stride_ = (head_bytes_ + 4 + locals_bytes_ + 7) / 8 * 8;
  successors_.resize(1);
  prepare(successors_[0], space_.compact(start));
  visit(successors_[0]);
  std::vector<Transition> transitions;
  for (std::uint32_t index = 0; index < origins_.size(); ++index) {
    if (limit_reached(limits)) return End::kLimit;
    first_edge_.push_back(edges_.size());
    Compact from = state(index);
    if (space_.is_uneasy(from)) return End::kSurprise;
    space_.enabled(from, transitions);
    if (successors_.size() < transitions.size()) successors_.resize(transitions.size());
    for (std::size_t i = 0; i < transitions.size(); ++i) {
      const End end = follow(index, from, transitions[i], limits, successors_[i]);
      if (end != End::kComplete) return end;
    }
    for (std::size_t i = 0; i < transitions.size(); ++i) {
      Edge& edge = successors_[i].edge;
      if ((edge.marks & kBroke) == 0) edge.to = visit(successors_[i]);
      edges_.push_back(edge);
    }
  }
  return has_violation_ ? End::kViolation : End::kComplete;
}

std::vector<Transition> Graph::path_to(std::uint32_t index) const {
  std::vector<Transition> path;
  for (; index != 0; index = origins_[index].parent) {
    const Origin& origin = origins_[index];
    path.insert(path.end(), origin.drains, {Transition::Kind::kDrain, origin.transition.worker});
    path.push_back(origin.transition);
  }
  std::reverse(path.begin(), path.end());
  return path;
}

std::vector<std::uint8_t> Graph::can_finish() const {
  std::vector<std::uint8_t> can(size(), 0);
  for (std::uint32_t i = 0; i < size(); ++i) can[i] = World::is_final(state(i).head) ? 1 : 0;
  // Most edges lead to higher numbers, so a few passes from the end reach everything.
  for (bool changed = true; changed;) {
    changed = false;
    for (std::uint32_t i = size(); i-- > 0;) {
      if (can[i] != 0) continue;
      for (const Edge* edge = edges_begin(i); edge != edges_end(i); ++edge) {
        if ((edge->marks & kBroke) != 0 || can[edge->to] == 0) continue;
        can[i] = 1;
        changed = true;
        break;
      }
    }
  }
  return can;
}

}  // namespace hobbs::step
