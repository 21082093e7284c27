#include "harness/explore/hunt.h"

#include <algorithm>

#include "harness/explore/bounded_search.h"
#include "harness/explore/guided.h"
#include "harness/explore/random_walk.h"
#include "scenarios/smaller_programs.h"

namespace hobbs::explore {
namespace {

constexpr std::uint64_t kClockEvery = 64;           // Executions between looks at the clock ...
constexpr std::uint64_t kOperationsEvery = 10'000;  // ... but no more operations than these.

std::optional<Catch> try_program(const LockSpec& lock, const Catch& like, const Program& program,
                                 std::uint64_t seed, std::uint64_t executions,
                                 Clock::time_point until) {
  const auto explorer = Explorer::create(lock, like.model, like.topology);
  if (!explorer->load(program).empty()) return std::nullopt;
  RandomWalk walk(seed);
  Stretch stretch = hunt(*explorer, program, like.model, like.topology, walk, executions, until);
  if (!stretch.caught || stretch.caught->broken.rule != like.broken.rule) return std::nullopt;
  return std::move(stretch.caught);
}

/// The same program and rule with fewer preemptions: all executions with 0, then 1, 2, ... of them.
void straighten(const LockSpec& lock, Catch& best, Clock::time_point until) {
  for (int bound = 0; bound < best.preemptions && bound <= 4 && Clock::now() < until; ++bound) {
    const auto explorer = Explorer::create(lock, best.model, best.topology);
    if (!explorer->load(best.program).empty()) return;
    BoundedSearch search(bound);
    Stretch stretch =
        hunt(*explorer, best.program, best.model, best.topology, search, UINT64_MAX, until);
    if (!stretch.caught || stretch.caught->broken.rule != best.broken.rule) continue;
    const std::uint64_t executions = best.executions;
    if (stretch.caught->preemptions < best.preemptions) best = std::move(*stretch.caught);
    best.executions = executions;
    return;
  }
}

}  // namespace

Stretch hunt(Explorer& explorer, const Program& program, MemoryModel model, Topology topology,
             Strategy& strategy, std::uint64_t executions, Clock::time_point until) {
  Stretch stretch;
  Catch caught;
  caught.program = program;
  caught.model = model;
  caught.topology = topology;
  if (const Broken* broken = explorer.preset_broken()) {
    caught.broken = *broken;
    caught.executions = 1;
    stretch.executions = 1;
    stretch.caught = std::move(caught);
    return stretch;
  }
  std::uint64_t operations = kOperationsEvery;
  while (stretch.executions < executions) {
    if (stretch.executions % kClockEvery == 0 || operations >= kOperationsEvery) {
      if (stretch.executions > 0 && Clock::now() >= until) break;
      operations = 0;
    }
    if (!strategy.begin()) {
      stretch.exhausted = true;
      break;
    }
    const Ending& ending = explorer.run(strategy);
    ++stretch.executions;
    operations += explorer.operations();
    if (ending.kind == Ending::Kind::kLimit) ++stretch.cut;
    if (ending.kind == Ending::Kind::kRefused) {
      stretch.refused = ending.broken.text;
      break;
    }
    if (ending.kind != Ending::Kind::kBroken) continue;
    caught.broken = ending.broken;
    caught.schedule = explorer.schedule();
    caught.preemptions = explorer.preemptions();
    caught.executions = stretch.executions;
    stretch.caught = std::move(caught);
    break;
  }
  return stretch;
}

Catch shrink(const LockSpec& lock, const Catch& found, std::uint64_t seed,
             Clock::time_point until) {
  Catch best = found;
  if (best.schedule.empty()) return best;  // The preset alone broke it.
  const std::uint64_t patience = std::max<std::uint64_t>(2'000, 20 * found.executions);
  for (bool smaller_found = true; smaller_found && Clock::now() < until;) {
    smaller_found = false;
    for (const Program& program : smaller_programs(best.program)) {
      if (Clock::now() >= until) break;
      std::optional<Catch> caught = try_program(lock, best, program, ++seed, patience, until);
      if (!caught) continue;
      caught->executions = found.executions;
      best = std::move(*caught);
      smaller_found = true;
      break;
    }
  }
  straighten(lock, best, until);
  return best;
}

bool happens_again(const LockSpec& lock, const Catch& found, std::vector<Event>* events,
                   std::unique_ptr<Explorer>* kept) {
  std::unique_ptr<Explorer> explorer = Explorer::create(lock, found.model, found.topology);
  if (!explorer->load(found.program).empty()) return false;
  bool again = false;
  if (const Broken* broken = explorer->preset_broken()) {
    again = broken->rule == found.broken.rule;
  } else {
    explorer->listen(events);
    Ending ending{.kind = Ending::Kind::kVoid, .broken = {}};
    for (int i = 0; i < 2 && ending.kind == Ending::Kind::kVoid; ++i) {
      if (events != nullptr) events->clear();
      Replay replay(found.schedule);
      replay.begin();
      ending = explorer->run(replay);
    }
    explorer->listen(nullptr);
    again = ending.kind == Ending::Kind::kBroken && ending.broken.rule == found.broken.rule;
  }
  if (kept != nullptr) *kept = std::move(explorer);
  return again;
}

}  // namespace hobbs::explore
