#include "harness/step/walk.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "harness/explore/guided.h"
#include "harness/explore/random_walk.h"
#include "harness/step/quiet_reads.h"

namespace hobbs::step {
namespace {

using Kind = Transition::Kind;

constexpr std::size_t kTransitionsMax = 10'000;
constexpr int kDepth = 3;        // Of walks by priorities: two changes.
constexpr int kPreemptions = 3;  // No known lock bug needs more.
constexpr std::uint32_t kSpinsOnOf = 8;
constexpr std::uint64_t kPartStatesMax = 4'000'000;
constexpr std::uint64_t kRestStatesMax = 1'000'000;

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

/// As long as the limits leave, in equal parts.
std::int64_t share_ns(std::int64_t deadline_ns, int parts) {
  if (deadline_ns == INT64_MAX) return deadline_ns;
  const std::int64_t now = now_ns();
  return now + std::max<std::int64_t>(0, deadline_ns - now) / parts;
}

}  // namespace

Walker::Walker(World& world, explore::Random* chance)
    : world_(world),
      space_(world),
      chance_(chance),
      initial_(space_.compact(world.initial())),
      state_(initial_) {}

bool Walker::has(Kind kind, std::size_t w) const {
  return std::any_of(enabled_.begin(), enabled_.end(),
                     [&](const Transition& one) { return one.kind == kind && one.worker == w; });
}

/// Who spins stands back, and is ready only if nobody else is, or now and then by chance.
void Walker::look_around(explore::Scene& scene) {
  scene.ready = scene.drains = scene.asleep = scene.yielded = 0;
  scene.clock = false;
  std::uint32_t spinning = 0;
  for (const Transition& one : enabled_) {
    const std::uint32_t bit = 1u << one.worker;
    switch (one.kind) {
      case Kind::kRun: scene.ready |= bit; break;
      case Kind::kGiveUp: spinning |= bit; break;
      case Kind::kDrain: scene.drains |= bit; break;
      case Kind::kTimeOut: scene.clock = true; break;
      case Kind::kSignal:
      case Kind::kSpurious: scene.asleep |= bit; break;
      case Kind::kKill: break;
    }
  }
  if (spinning != 0 && chance_ != nullptr && chance_->one_in(kSpinsOnOf)) {
    scene.ready |= spinning;
    scene.yielded = spinning;
  }
}

/// A spinner whose spin ends of itself.
bool Walker::give_up_one(Transition& chosen) {
  for (const Transition& one : enabled_) {
    if (one.kind != Kind::kGiveUp) continue;
    Compact next = state_;
    Event event;
    space_.step(next, one, event);
    if (event.instructions == 0) continue;  // It spins for ever.
    chosen = one;
    return true;
  }
  return false;
}

/// One of a kind: any, or without chance the first.
bool Walker::draw(Kind kind, Transition& chosen) {
  std::uint32_t seen = 0;
  for (const Transition& one : enabled_) {
    if (one.kind != kind) continue;
    ++seen;
    if (seen == 1 || (chance_ != nullptr && chance_->below(seen) == 0)) chosen = one;
  }
  return seen > 0;
}

Transition Walker::meant_by(const explore::Move& move) const {
  using explore::Move;
  Kind kind = Kind::kRun;
  switch (move.kind) {
    case Move::Kind::kStep: kind = has(Kind::kRun, move.worker) ? Kind::kRun : Kind::kGiveUp; break;
    case Move::Kind::kDrain: kind = Kind::kDrain; break;
    case Move::Kind::kInterrupt: kind = Kind::kSignal; break;
    case Move::Kind::kWake:
      kind = has(Kind::kSpurious, move.worker) ? Kind::kSpurious : Kind::kSignal;
      break;
    case Move::Kind::kTime: kind = Kind::kTimeOut; break;
  }
  return {kind, move.worker};
}

/// False if nobody can go on.
bool Walker::choose(explore::Strategy& strategy, const explore::Scene& scene, Transition& chosen) {
  if (scene.ready == 0 && scene.drains == 0) {
    return draw(Kind::kTimeOut, chosen) || give_up_one(chosen);
  }
  chosen = meant_by(strategy.next(scene));
  return chosen.kind != Kind::kTimeOut || draw(Kind::kTimeOut, chosen);
}

Walker::End Walker::run(explore::Strategy& strategy) {
  state_ = initial_;
  path_.clear();
  incident_ = {};
  explore::Scene scene;
  scene.workers = state_.head.count;
  const std::uint32_t death_at = chance_ != nullptr ? chance_->below(horizon_) : UINT32_MAX;
  End end = End::kLimit;
  while (path_.size() < kTransitionsMax) {
    space_.enabled(state_, enabled_);
    look_around(scene);
    if (World::is_final(state_.head) && scene.drains == 0) {
      end = End::kDone;
      break;
    }
    Transition chosen;
    const bool dies = path_.size() >= death_at && draw(Kind::kKill, chosen);
    if (!dies && !choose(strategy, scene, chosen)) {
      end = world_.may_be_stuck(state_.head) ? End::kDone : End::kStuck;
      break;
    }
    Event event;
    ++transitions_;
    incident_ = space_.step(state_, chosen, event);
    if (space_.is_surprised()) {
      end = End::kSurprise;
      break;
    }
    path_.push_back(chosen);
    if (!incident_.none()) {
      const bool unknown = incident_.kind == Incident::Kind::kUnknown;
      end = unknown ? End::kUnknown : End::kViolation;
      break;
    }
    if (chosen.kind == Kind::kRun || chosen.kind == Kind::kGiveUp) scene.current = chosen.worker;
  }
  horizon_ = std::max(horizon_, static_cast<std::uint32_t>(path_.size()));
  strategy.end();
  return end;
}

namespace {

class Walks {
 public:
  Walks(World& world, const WalkLimits& limits)
      : world_(world),
        limits_(limits),
        chance_(limits.seed),
        by_chance_(limits.seed),
        by_priorities_(limits.seed, kDepth),
        changing_(one_run(world, world.initial()).changed) {}

  SearchReport run() {
    std::vector<Transition> path;
    for (;;) {
      switch (until_something(path)) {
        case Walker::End::kSurprise: continue;
        case Walker::End::kUnknown: report_.end = SearchReport::End::kUnknown; return report_;
        case Walker::End::kViolation:
          if (tell(path)) return report_;
          continue;
        case Walker::End::kStuck:
          if (tell_stuck(path)) return report_;
          continue;
        case Walker::End::kDone:
        case Walker::End::kLimit: break;
      }
      report_.end = SearchReport::End::kLimit;
      report_.rule.clear();
      report_.summary =
          std::to_string(report_.states) + " schedules drawn by chance and by priorities";
      return report_;
    }
  }

 private:
  /// Executions until one ends in more than nothing: its end and path. kDone: the limits were met.
  Walker::End until_something(std::vector<Transition>& path) {
    const QuietReads quiet(world_.runner(), changing_);
    Walker walker(world_, &chance_);
    const Walker::End end = walk_on(walker);
    report_.transitions += walker.transitions();
    report_.moves += walker.space().moves_made();
    report_.summary = walker.incident().summary;
    report_.rule = walker.incident().rule;
    path = walker.path();
    changing_ |= walker.space().surprises().changing;
    return end;
  }

  Walker::End walk_on(Walker& walker) {
    using By = WalkLimits::By;
    for (; report_.states < limits_.schedules_max; ++report_.states) {
      if (report_.states % 64 == 0 && now_ns() > limits_.deadline_ns) break;
      const bool prioritised =
          limits_.by == By::kPriorities || (limits_.by == By::kBoth && report_.states % 3 == 2);
      explore::Strategy& strategy =
          prioritised ? static_cast<explore::Strategy&>(by_priorities_) : by_chance_;
      strategy.begin();
      const Walker::End end = walker.run(strategy);
      if (end == Walker::End::kDone || end == Walker::End::kLimit) continue;
      ++report_.states;
      return end;
    }
    return Walker::End::kDone;
  }

  /// False if the path is none after all.
  bool tell(const std::vector<Transition>& path) {
    std::optional<std::vector<Transition>> all =
        with_all_stops(world_, world_.initial(), changing_, path);
    if (!all) return false;
    report_.end = SearchReport::End::kViolation;
    report_.path = std::move(*all);
    return true;
  }

  /// The search from there says which rule that breaks, and that there is no way out.
  bool tell_stuck(const std::vector<Transition>& path) {
    if (!tell(path)) return false;
    State state = world_.initial();
    for (const Transition& one : report_.path) world_.step(state, one);
    const SearchReport rest = search_from(
        world_, state, {.states_max = kRestStatesMax, .deadline_ns = limits_.deadline_ns});
    if (rest.end != SearchReport::End::kViolation) return false;
    report_.rule = rest.rule;
    report_.summary = rest.summary;
    report_.path.insert(report_.path.end(), rest.path.begin(), rest.path.end());
    return true;
  }

  World& world_;
  const WalkLimits limits_;
  explore::Random chance_;
  explore::RandomWalk by_chance_;
  explore::Priorities by_priorities_;
  SharedWords changing_;
  SearchReport report_;
};

}  // namespace

SearchReport walk(World& world, const WalkLimits& limits) { return Walks(world, limits).run(); }

SearchReport search_bounded(World& world, int preemptions, const SearchLimits& limits) {
  State start = world.initial();
  start.head.preemptions_left = static_cast<std::uint8_t>(preemptions);
  return search_from(world, start, limits);
}

SearchReport search_in_part(World& world, const SearchLimits& limits, std::uint64_t seed) {
  SearchLimits part = limits;
  part.states_max = std::min(limits.states_max, kPartStatesMax);
  part.deadline_ns = share_ns(limits.deadline_ns, 2);
  std::string done;
  for (int bound = 0; bound <= kPreemptions; ++bound) {
    SearchReport report = search_bounded(world, bound, part);
    if (report.end == SearchReport::End::kLimit) break;
    if (report.end != SearchReport::End::kComplete) return report;
    done = "all schedules with at most " + std::to_string(bound) + " preemptions, and ";
  }
  SearchReport report = walk(world, {.deadline_ns = limits.deadline_ns, .seed = seed});
  if (report.end == SearchReport::End::kLimit) report.summary = done + report.summary;
  return report;
}

}  // namespace hobbs::step
