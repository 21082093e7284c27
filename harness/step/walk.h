// Programs that are too large for a complete search: schedules one by one, as explore's strategies
// decide. A strategy sees a Scene and names a Move (harness/explore/strategy.h); this translates
// between the two worlds, so that a walk by priorities is the same thing in both.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/explore/strategy.h"
#include "harness/step/search.h"
#include "harness/step/space.h"
#include "harness/step/world.h"

namespace hobbs::step {

/// Executions of a world from its initial state. Moves are remembered from one to the next.
class Walker {
 public:
  enum class End : std::uint8_t {
    kDone,       // All finished, or are stuck as the lock's claims allow.
    kViolation,  // The last transition of path() broke incident().rule.
    kStuck,      // After path() nobody can go on, and that breaks a rule.
    kUnknown,    // incident() says what is not modelled.
    kLimit,      // Too many transitions.
    kSurprise,   // See Graph::End: space().surprises().
  };

  /// `chance`, not owned, may be null: then nobody is killed, and spins end only if nothing else
  /// goes on, so that the strategy alone decides.
  Walker(World& world, explore::Random* chance);

  /// One execution, after strategy.begin().
  End run(explore::Strategy& strategy);

  const std::vector<Transition>& path() const { return path_; }
  const Incident& incident() const { return incident_; }
  const Space& space() const { return space_; }
  /// Of all executions.
  std::uint64_t transitions() const { return transitions_; }

 private:
  void look_around(explore::Scene& scene);
  bool choose(explore::Strategy& strategy, const explore::Scene& scene, Transition& chosen);
  bool give_up_one(Transition& chosen);
  bool draw(Transition::Kind kind, Transition& chosen);
  Transition meant_by(const explore::Move& move) const;
  bool has(Transition::Kind kind, std::size_t w) const;

  World& world_;
  Space space_;
  explore::Random* const chance_;
  const Compact initial_;
  Compact state_;
  std::vector<Transition> enabled_, path_;
  std::uint32_t horizon_ = 16;  // The longest execution: where a death may fall.
  Incident incident_;
  std::uint64_t transitions_ = 0;
};

struct WalkLimits {
  std::uint64_t schedules_max = 1'000'000;
  std::int64_t deadline_ns = INT64_MAX;  // Steady clock.
  std::uint64_t seed = 1;
  enum class By : std::uint8_t { kChance, kPriorities, kBoth } by = By::kBoth;
};

/// Random walks and walks by priorities. Ends in kViolation, kUnknown, or kLimit if it found
/// nothing: `summary` says how much was tried. `states` counts schedules.
SearchReport walk(World& world, const WalkLimits& limits);

/// All schedules with at most so many preemptions.
SearchReport search_bounded(World& world, int preemptions, const SearchLimits& limits);

/// What is done for a program whose complete search ran out of room or time: all schedules with 0,
/// 1, 2, ... preemptions as far as they get, then walks.
SearchReport search_in_part(World& world, const SearchLimits& limits, std::uint64_t seed);

}  // namespace hobbs::step
