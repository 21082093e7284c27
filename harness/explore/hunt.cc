#include "harness/explore/hunt.h"

#include <algorithm>
#include <array>

#include "harness/explore/bounded_search.h"
#include "harness/explore/guided.h"
#include "harness/explore/random_walk.h"
#include "scenarios/smaller_programs.h"

namespace hobbs::explore {
namespace {

constexpr std::uint64_t kClockEvery = 64;           // Executions between looks at the clock ...
constexpr std::uint64_t kOperationsEvery = 10'000;  // ... but no more operations than these.

constexpr std::uint64_t kPatience = 2'000;         // Executions of a smaller program, at first.
constexpr std::uint64_t kStraightenings = 20'000;  // Executions with so many preemptions.
constexpr std::size_t kShortestHorizon = 16;

/// As hunt(), for what breaks the same rule: goes on behind what breaks another. (What was cut
/// or unsettled is told of the last part alone.)
Stretch hunt_for(Explorer& explorer, const Program& program, const Catch& like, Strategy& strategy,
                 std::uint64_t executions, Clock::time_point until) {
  Stretch all;
  while (true) {
    Stretch stretch = hunt(explorer, program, like.model, like.topology, strategy,
                           executions - all.executions, until);
    stretch.executions += all.executions;
    all = std::move(stretch);
    if (!all.caught || all.caught->broken.rule == like.broken.rule) return all;
    if (explorer.preset_broken() || all.executions >= executions || Clock::now() >= until) break;
  }
  all.caught.reset();
  return all;
}

std::optional<Catch> try_program(const LockSpec& lock, const Catch& like, const Program& program,
                                 std::uint64_t seed, std::uint64_t executions,
                                 Clock::time_point until) {
  const auto explorer = Explorer::create(lock, like.model, like.topology);
  if (!explorer->load(program).empty()) return std::nullopt;
  RandomWalk walk(seed);
  return hunt_for(*explorer, program, like, walk, executions, until).caught;
}

bool is_step(const Move& move) { return move.kind == Move::Kind::kStep; }

/// Preemptions first, then what does not happen by itself, then length.
std::array<std::size_t, 3> cost(const Schedule& schedule, int preemptions) {
  const auto is_odd = [](const Move& move) {
    return !is_step(move) || move.choice != Choice::kNone;
  };
  const auto odd = std::count_if(schedule.begin(), schedule.end(), is_odd);
  return {static_cast<std::size_t>(preemptions), static_cast<std::size_t>(odd), schedule.size()};
}

/// The schedule without what happens at `at`: an event, a choice, or a switch to another worker, in
/// whose place the one before goes on with what it does next. The same if there is nothing.
Schedule without(const Schedule& schedule, std::size_t at) {
  Schedule less = schedule;
  const auto here = less.begin() + static_cast<std::ptrdiff_t>(at);
  if (!is_step(*here)) {
    less.erase(here);
  } else if (here->choice != Choice::kNone) {
    here->choice = Choice::kNone;
    here->amount = 0;
  } else if (at > 0 && is_step(here[-1]) && here[-1].worker != here->worker) {
    const std::uint8_t worker = here[-1].worker;
    const auto is_its = [worker](const Move& move) {
      return is_step(move) && move.worker == worker;
    };
    const auto run = std::find_if(here, less.end(), is_its);
    std::rotate(here, run, std::find_if_not(run, less.end(), is_its));
  }
  return less;
}

/// The same program and rule by a schedule in which nothing can be left out.
void simplify(const LockSpec& lock, Catch& best, Clock::time_point until) {
  const auto explorer = Explorer::create(lock, best.model, best.topology);
  if (!explorer->load(best.program).empty()) return;
  for (std::size_t at = 0; at < best.schedule.size() && Clock::now() < until;) {
    const Schedule less = without(best.schedule, at++);
    if (less == best.schedule) continue;
    Outline outline(less);
    outline.begin();
    const Ending& ending = explorer->run(outline);
    if (ending.kind != Ending::Kind::kBroken || ending.broken.rule != best.broken.rule) continue;
    const Schedule made = explorer->schedule();
    if (cost(made, explorer->preemptions()) >= cost(best.schedule, best.preemptions)) continue;
    best.schedule = made;
    best.preemptions = explorer->preemptions();
    best.broken = ending.broken;
    at = 0;  // What was needed before may not be needed now.
  }
}

/// The same program and rule with fewer preemptions: with none, then with 1, 2, ... of them, all
/// executions if those are not too many, and random ones if they are.
void straighten(const LockSpec& lock, Catch& best, std::uint64_t seed, Clock::time_point until) {
  const auto explorer = Explorer::create(lock, best.model, best.topology);
  if (!explorer->load(best.program).empty()) return;
  const int before = best.preemptions;
  const std::size_t horizon = std::max(kShortestHorizon, best.schedule.size());
  explorer->set_step_limit(static_cast<int>(2 * horizon));  // Longer ones explain nothing better.
  for (int bound = 0; bound < before && Clock::now() < until; ++bound) {
    BoundedSearch all(bound);
    FewPreemptions some(seed, bound, horizon);
    const auto look = [&](Strategy& strategy) {
      return hunt_for(*explorer, best.program, best, strategy, kStraightenings, until);
    };
    Stretch stretch = look(all);
    if (!stretch.caught && !stretch.exhausted) stretch = look(some);
    if (!stretch.caught || stretch.caught->preemptions >= best.preemptions) continue;
    stretch.caught->executions = best.executions;
    best = std::move(*stretch.caught);
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
    if (ending.kind == Ending::Kind::kUnsettled) stretch.unsettled = ending.broken.text;
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
  // What was found by luck in one program of many shows soon in most of the smaller ones.
  const std::uint64_t most = std::max<std::uint64_t>(kPatience, 20 * found.executions);
  const Clock::time_point half = Clock::now() + (until - Clock::now()) / 2;
  for (std::uint64_t patience = kPatience; patience <= most && Clock::now() < half;) {
    bool smaller_found = false;
    for (const Program& program : smaller_programs(best.program)) {
      if (Clock::now() >= half) break;
      std::optional<Catch> caught = try_program(lock, best, program, ++seed, patience, half);
      if (!caught) continue;
      caught->executions = found.executions;
      best = std::move(*caught);
      smaller_found = true;
      break;
    }
    if (!smaller_found) patience = patience == most ? most + 1 : std::min(8 * patience, most);
  }
  simplify(lock, best, until);
  straighten(lock, best, seed, until);
  simplify(lock, best, until);
  return best;
}

Ending run_again(const LockSpec& lock, const Catch& found, std::vector<Event>* events,
                 std::unique_ptr<Explorer>* kept, Watch* watch) {
  std::unique_ptr<Explorer> explorer = Explorer::create(lock, found.model, found.topology);
  std::string why_not = explorer->load(found.program);
  if (!why_not.empty()) return {Ending::Kind::kRefused, {"", std::move(why_not)}};
  Ending ending;
  if (const Broken* broken = explorer->preset_broken()) {
    ending = {Ending::Kind::kBroken, *broken};
  } else {
    explorer->separate_threads();
    explorer->listen(events);
    explorer->watch(watch);
    Replay replay(found.schedule);
    replay.begin();
    ending = explorer->run(replay);
    explorer->listen(nullptr);
    explorer->watch(nullptr);
  }
  if (kept != nullptr) *kept = std::move(explorer);
  return ending;
}

bool happens_again(const LockSpec& lock, const Catch& found, std::vector<Event>* events,
                   std::unique_ptr<Explorer>* explorer, Watch* watch) {
  const Ending ending = run_again(lock, found, events, explorer, watch);
  return ending.kind == Ending::Kind::kBroken && ending.broken.rule == found.broken.rule;
}

}  // namespace hobbs::explore
