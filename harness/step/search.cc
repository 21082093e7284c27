#include "harness/step/search.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <utility>

namespace hobbs::step {
namespace {

struct Key {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Key&) const = default;
};

/// 128 bits from two multiply-and-fold lanes: a collision would hide a state, so one lane's 64 bits
/// are not enough for millions of states.
Key hash(std::string_view bytes) {
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t a = 0x9e3779b97f4a7c15ull ^ bytes.size(), b = 0xc2b2ae3d27d4eb4full;
  for (std::size_t at = 0; at < bytes.size(); at += 16) {
    std::uint64_t words[2] = {};
    std::memcpy(words, bytes.data() + at, std::min<std::size_t>(16, bytes.size() - at));
    a = fold(a ^ words[0], 0xa0761d6478bd642full ^ words[1]);
    b = fold(b ^ words[1] ^ 0xe7037ed1a0b428dbull, 0x8ebc6af09c88c6e3ull ^ words[0]) + a;
  }
  return {a, b};
}

/// Key to dense index; open addressing.
class Index {
 public:
  Index() : slots_(1u << 16) {}
  /// The key's index and whether it is new.
  std::pair<std::uint32_t, bool> insert(const Key& key) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    Slot& slot = find(key);
    if (slot.index != 0) return {slot.index - 1, false};
    slot = {key, ++count_};
    return {count_ - 1, true};
  }

 private:
  struct Slot {
    Key key;
    std::uint32_t index = 0;  // 0: empty.
  };
  Slot& find(const Key& key) {
    std::size_t at = key.low & (slots_.size() - 1);
    while (slots_[at].index != 0 && !(slots_[at].key == key)) at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }
  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.index != 0) find(slot.key) = slot;
    }
  }
  std::vector<Slot> slots_;
  std::uint32_t count_ = 0;
};

class Search {
 public:
  Search(World& world, const SearchLimits& limits) : world_(world), limits_(limits) {}

  SearchReport run(const State& start) {
    visit(0, {}, start);
    State state, next;
    std::vector<Transition> transitions;
    while (!frontier_.empty()) {
      const auto [index, bytes] = std::move(frontier_.front());
      frontier_.pop_front();
      unpack(bytes, state);
      if (limit_reached()) return std::move(report_);
      world_.enabled(state, transitions);
      for (const Transition& transition : transitions) {
        unpack(bytes, next);
        ++report_.transitions;
        const Incident incident = world_.step(next, transition);
        if (incident.kind != Incident::Kind::kNone) {
          report_.end = incident.kind == Incident::Kind::kUnknown ? SearchReport::End::kUnknown
                                                                  : SearchReport::End::kViolation;
          report_.rule = incident.rule;
          report_.summary = incident.summary;
          report_.path = path_to(index);
          report_.path.push_back(transition);
          return std::move(report_);
        }
        edges_.push_back({index, visit(index, transition, next)});
      }
    }
    find_stuck();
    return std::move(report_);
  }

 private:
  struct Origin {
    std::uint32_t parent = 0;
    Transition transition;
    bool final = false;
    bool excused = false;  // Being stuck here is what the lock promises.
    bool any_dead = false;
  };

  std::uint32_t visit(std::uint32_t parent, const Transition& transition, const State& state) {
    std::string bytes = pack(state);
    const auto [index, is_new] = index_.insert(hash(bytes));
    if (is_new) {
      origins_.push_back({parent, transition, world_.is_final(state), world_.may_be_stuck(state),
                          state.any_dead != 0});
      frontier_.emplace_back(index, std::move(bytes));
    }
    return index;
  }

  bool limit_reached() {
    report_.states = origins_.size();
    if (report_.states >= limits_.states_max) {
      report_.summary = "stopped at " + std::to_string(report_.states) + " states";
    } else if ((++checks_ & 255) == 0 &&
               std::chrono::steady_clock::now().time_since_epoch().count() > limits_.deadline_ns) {
      report_.summary = "out of time after " + std::to_string(report_.states) + " states";
    } else {
      return false;
    }
    report_.end = SearchReport::End::kLimit;
    return true;
  }

  std::vector<Transition> path_to(std::uint32_t index) const {
    std::vector<Transition> path;
    for (; index != 0; index = origins_[index].parent) path.push_back(origins_[index].transition);
    std::reverse(path.begin(), path.end());
    return path;
  }

  /// Marks, backwards over the edges, every state from which a final one is reachable; the first
  /// unmarked one in breadth-first order is the shortest way into a stall.
  void find_stuck() {
    report_.states = origins_.size();
    std::sort(edges_.begin(), edges_.end(),
              [](const Edge& a, const Edge& b) { return a.to < b.to; });
    std::vector<std::uint8_t> can_finish(origins_.size(), 0);
    std::vector<std::uint32_t> work;
    for (std::uint32_t i = 0; i < origins_.size(); ++i) {
      if (!origins_[i].final) continue;
      can_finish[i] = 1;
      work.push_back(i);
    }
    while (!work.empty()) {
      const std::uint32_t to = work.back();
      work.pop_back();
      auto edge =
          std::lower_bound(edges_.begin(), edges_.end(), to,
                           [](const Edge& e, std::uint32_t wanted) { return e.to < wanted; });
      for (; edge != edges_.end() && edge->to == to; ++edge) {
        if (can_finish[edge->from]) continue;
        can_finish[edge->from] = 1;
        work.push_back(edge->from);
      }
    }
    for (std::uint32_t i = 0; i < origins_.size(); ++i) {
      if (can_finish[i]) continue;
      if (origins_[i].excused) {
        ++report_.stuck_as_promised;
        continue;
      }
      report_.end = SearchReport::End::kViolation;
      report_.rule = origins_[i].any_dead ? "CR-5" : "LV-1";
      report_.summary = origins_[i].any_dead
                            ? "after the death the others can never finish"
                            : "from here the workers can never all finish, however they run";
      report_.path = path_to(i);
      return;
    }
  }

  struct Edge {
    std::uint32_t from, to;
  };
  World& world_;
  const SearchLimits limits_;
  SearchReport report_;
  Index index_;
  std::vector<Origin> origins_;
  std::vector<Edge> edges_;
  std::deque<std::pair<std::uint32_t, std::string>> frontier_;
  std::uint32_t checks_ = 0;
};

}  // namespace

SearchReport search(World& world, const SearchLimits& limits) {
  return Search(world, limits).run(world.initial());
}

SearchReport search_from(World& world, const State& start, const SearchLimits& limits) {
  return Search(world, limits).run(start);
}

std::vector<std::string> trace(World& world, const std::vector<Transition>& path) {
  std::vector<std::string> lines;
  State state = world.initial();
  for (const Transition& transition : path) {
    std::string line =
        "worker " + std::to_string(transition.worker + 1) + " " + world.describe(state, transition);
    const Incident incident = world.step(state, transition);
    line += "   [" + world.words_text(state) + "]";
    if (incident.kind != Incident::Kind::kNone) line += "   <- " + incident.summary;
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace hobbs::step
