#include "harness/step/search.h"

#include <algorithm>
#include <optional>

#include "harness/step/early_drains.h"
#include "harness/step/quiet_reads.h"

namespace hobbs::step {
namespace {

/// Each looks at the world with fewer assumptions than the one before.
constexpr unsigned kAttemptsMax = 12;
constexpr unsigned kCalmAttemptsMax = 4;  // With calm words.

SearchReport::End end_of(Graph::End end) {
  switch (end) {
    case Graph::End::kComplete: return SearchReport::End::kComplete;
    case Graph::End::kViolation: return SearchReport::End::kViolation;
    case Graph::End::kUnknown: return SearchReport::End::kUnknown;
    case Graph::End::kLimit: return SearchReport::End::kLimit;
    case Graph::End::kSurprise: break;  // search_from() looks again.
  }
  return SearchReport::End::kLimit;
}

/// Whether the workers can finish from here if preemptions are not counted.
bool finishes_unbounded(World& world, State state, const SearchLimits& limits) {
  state.head.preemptions_left = Head::kUnbounded;
  Graph graph(world);
  if (graph.explore(state, limits) != Graph::End::kComplete) return true;
  return graph.can_finish()[0] != 0;
}

/// What a worker can do of itself, of the first worker from `first` on, round about, that can do
/// anything; a drain and a run before the end of a sleep, that before the end of a spin.
const Transition* next_in_turn(const std::vector<Transition>& enabled, std::size_t first) {
  using Kind = Transition::Kind;
  for (const Kind kind : {Kind::kDrain, Kind::kRun, Kind::kTimeOut, Kind::kGiveUp}) {
    const Transition* chosen = nullptr;
    for (const Transition& one : enabled) {
      if (one.kind != kind) continue;
      if (chosen == nullptr || (chosen->worker < first && one.worker >= first)) chosen = &one;
    }
    if (chosen != nullptr) return chosen;
  }
  return nullptr;
}

/// Whether the workers finish from here, in turns, if the clock goes on: who stays away for some
/// time of its own choice, by a clock that stands still, waits for ever.
bool finishes_as_time_passes(World& world, State state) {
  constexpr int kTurnsMax = 1'000;
  state.head.preemptions_left = Head::kUnbounded;
  world.runner().let_time_pass(true);
  std::vector<Transition> enabled;
  bool finishes = false;
  std::size_t first = 0;
  for (int turn = 0; turn < kTurnsMax && !finishes; ++turn) {
    world.enabled(state, enabled);
    const Transition* chosen = next_in_turn(enabled, first);
    if (chosen == nullptr) break;
    first = (chosen->worker + 1u) % state.head.count;
    if (!world.step(state, *chosen).none()) break;
    finishes = World::is_final(state.head);
  }
  world.runner().let_time_pass(false);
  return finishes;
}

/// States in which only the model's clock keeps the workers are none in which they are stuck; up to
/// the first in which they are.
void let_time_pass(World& world, const Graph& graph, std::vector<std::uint8_t>& can_finish) {
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    if (can_finish[i] != 0 || world.may_be_stuck(graph.state(i).head)) continue;
    const State state = graph.space().expand(graph.state(i));
    if (!finishes_as_time_passes(world, state)) return;
    can_finish[i] = 1;
  }
}

/// The first state, in breadth-first order, from which there is no way to the end.
void find_stuck(World& world, const Graph& graph, const std::vector<std::uint8_t>& can_finish,
                const SearchLimits& limits, SearchReport& report) {
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    if (can_finish[i] != 0) continue;
    const Compact state = graph.state(i);
    if (world.may_be_stuck(state.head)) {
      ++report.stuck_as_promised;
      continue;
    }
    if (state.head.preemptions_left != Head::kUnbounded &&
        finishes_unbounded(world, graph.space().expand(state), limits)) {
      continue;  // Only the bound keeps it.
    }
    const bool any_dead = state.head.any_dead != 0;
    report.end = SearchReport::End::kViolation;
    report.rule = any_dead ? "CR-5" : "LV-1";
    report.summary = any_dead ? "after the death the others can never finish"
                              : "from here the workers can never all finish, however they run";
    report.path = graph.path_to(i);
    return;
  }
}

/// What a search takes for granted until it meets the contrary.
struct Assumptions {
  SharedWords changing;  // No other words change (quiet_reads.h).
  SharedWords calm;      // See early_drains.h.

  Assumptions(World& world, const State& start) {
    const OneRun run = one_run(world, start);
    changing = run.changed;
    bool buffers = world.options().memory == Memory::kTotalStoreOrder && !run.pauses &&
                   start.head.preemptions_left == Head::kUnbounded;
    for (std::size_t w = 0; w < start.head.count; ++w) {
      buffers = buffers && start.head.workers[w].buffered == 0;
    }
    if (buffers) calm = run.stored & ~run.atomic & run.changed;
  }
  void learn_from(const Space::Surprises& surprises) {
    changing |= surprises.changing;
    calm &= ~surprises.not_calm;
    if (surprises.pauses) calm.reset();
  }
};

/// With the stops that the runner makes. `surprises` says which assumptions were wrong: then the
/// report is of no use.
SearchReport search_once(World& world, const State& start, const SearchLimits& limits,
                         const CalmWords* calm, Space::Surprises& surprises) {
  Graph graph(world, calm);
  SearchReport report;
  SearchLimits own = limits;
  own.past_violations |= start.head.kills_left > 0;  // For the table of crash points.
  report.end = end_of(graph.explore(start, own));
  surprises = graph.space().surprises();
  if (surprises.any()) return report;
  report.states = graph.size();
  report.transitions = graph.transitions();
  report.moves = graph.space().moves_made();
  report.summary = graph.summary();
  report.rule = graph.rule();
  report.path = graph.offence();
  const bool has_table = start.head.kills_left > 0;
  const bool whole = report.end == SearchReport::End::kComplete ||
                     (report.end == SearchReport::End::kViolation && has_table);
  if (!whole) return report;
  std::vector<std::uint8_t> can_finish = graph.can_finish();
  let_time_pass(world, graph, can_finish);
  if (report.end == SearchReport::End::kComplete) {
    find_stuck(world, graph, can_finish, limits, report);
  }
  if (has_table) report.crash_points = crash_points(world, graph, can_finish);
  return report;
}

}  // namespace

SearchReport search_from(World& world, const State& start, const SearchLimits& limits) {
  Space::Surprises surprises;
  if (limits.all_stops) return search_once(world, start, limits, nullptr, surprises);
  Assumptions assumed(world, start);
  for (unsigned attempt = 0; attempt < kAttemptsMax; ++attempt) {
    if (attempt >= kCalmAttemptsMax || limits.all_drains) assumed.calm.reset();
    const CalmWords calm(assumed.calm);
    SearchReport report;
    {
      const QuietReads quiet(world.runner(), assumed.changing);
      report = search_once(world, start, limits, calm.empty() ? nullptr : &calm, surprises);
      if (!surprises.any()) report.path = with_late_drains(world, start, calm, report.path);
    }
    assumed.learn_from(surprises);
    if (surprises.any()) continue;
    if (report.end == SearchReport::End::kUnknown) break;
    std::optional<std::vector<Transition>> path =
        with_all_stops(world, start, assumed.changing, report.path);
    if (!path) break;
    report.path = std::move(*path);
    return report;
  }
  return search_once(world, start, limits, nullptr, surprises);
}

SearchReport search(World& world, const SearchLimits& limits) {
  return search_from(world, world.initial(), limits);
}

}  // namespace hobbs::step
