// The graph of all states that a world can reach, breadth first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/step/space.h"
#include "harness/step/world.h"

namespace hobbs::step {

struct SearchLimits {
  std::uint64_t states_max = 16'000'000;
  std::int64_t deadline_ns = INT64_MAX;  // Steady clock.
  bool past_violations = false;          // Goes on beside a broken rule instead of ending there.
  bool all_stops = false;   // Stops at reads of what nobody changes too (quiet_reads.h): slower.
  bool all_drains = false;  // Tries everything else before each drain too (early_drains.h): slower.
};

/// One step from a state to another.
struct Edge {
  std::uint32_t to = 0;
  std::uint8_t kind = 0;  // Transition::Kind.
  std::uint8_t worker = 0;
  std::uint8_t marks = 0;  // Bits of Mark.
};

enum Mark : std::uint8_t {
  kTold = 1,      // An acquire returned kOwnerDied.
  kAcquired = 2,  // An acquire succeeded, and told of no death.
  kBroke = 4,     // It broke a rule; `to` is not looked into.
};

class Graph {
 public:
  enum class End : std::uint8_t {
    kComplete,
    kViolation,
    kUnknown,
    kLimit,
    kSurprise,  // What was assumed of words is not so: space().surprises().
  };

  /// `calm`, not owned, may be null: with it, drains to these words are part of the transition
  /// that made them possible (early_drains.h). Under TSO, with any number of preemptions.
  explicit Graph(World& world, const CalmWords* calm = nullptr);

  /// Visits all states that `start` leads to. Call once.
  End explore(const State& start, const SearchLimits& limits);

  const std::string& summary() const { return summary_; }  // Of whatever End was not kComplete.
  const std::string& rule() const { return rule_; }
  /// The way into the first violation or unknown.
  const std::vector<Transition>& offence() const { return offence_; }

  std::uint32_t size() const { return static_cast<std::uint32_t>(first_edge_.size()); }
  std::uint64_t transitions() const { return transitions_; }
  Compact state(std::uint32_t index) const;
  std::vector<Transition> path_to(std::uint32_t index) const;
  const Edge* edges_begin(std::uint32_t index) const { return edges_.data() + first_edge_[index]; }
  const Edge* edges_end(std::uint32_t index) const {
    return edges_.data() +
           (index + 1 < first_edge_.size() ? first_edge_[index + 1] : edges_.size());
  }
  const Space& space() const { return space_; }

  /// For each state, 1 if the workers can all finish from there.
  std::vector<std::uint8_t> can_finish() const;

 private:
  struct Origin {
    std::uint32_t parent = 0;
    Transition transition;
    std::uint8_t drains = 0;  // Of the same worker, after it.
  };
  /// A state on its way into the graph.
  struct Successor {
    std::uint8_t bytes[(sizeof(Compact) + 7) / 8 * 8];
    std::uint64_t hash = 0;
    Origin origin;
    Edge edge;
  };
  struct Slot {
    std::uint32_t number = 0;  // Index + 1; 0: empty.
    std::uint32_t hash = 0;    // Its upper half, so that few comparisons are in vain.
  };
  End follow(std::uint32_t index, const Compact& from, const Transition& transition,
             const SearchLimits& limits, Successor& successor);
  void prepare(Successor& successor, const Compact& state) const;
  std::uint32_t visit(const Successor& successor);
  void write(const Compact& state, std::uint8_t* bytes) const;
  Slot& slot_of(const std::uint8_t* bytes, std::uint64_t hash);
  void grow();
  bool limit_reached(const SearchLimits& limits);
  void note(const Incident& incident, std::uint32_t from, const Transition& transition);

  World& world_;
  Space space_;
  std::size_t head_bytes_ = 0, locals_bytes_ = 0, stride_ = 0;
  std::vector<std::uint8_t> states_;  // `stride_` bytes each.
  std::vector<Slot> slots_;
  std::vector<Origin> origins_;
  std::vector<Successor> successors_;      // Of the state whose edges are being found.
  std::vector<std::uint64_t> first_edge_;  // Of those whose edges are known.
  std::vector<Edge> edges_;
  std::uint64_t transitions_ = 0;
  std::string summary_, rule_;
  std::vector<Transition> offence_;
  bool has_violation_ = false;
};

}  // namespace hobbs::step
