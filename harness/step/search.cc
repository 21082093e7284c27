#include "harness/step/search.h"

#include <algorithm>
#include <optional>

#include "harness/step/quiet_reads.h"

namespace hobbs::step {
namespace {

/// Each looks at the world with fewer assumptions than the one before.
constexpr unsigned kAttemptsMax = 12;

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

/// With the stops that the runner makes. `surprises` says which of its assumptions were wrong: then
/// the report is of no use.
SearchReport search_once(World& world, const State& start, const SearchLimits& limits,
                         SharedWords& surprises) {
  Graph graph(world);
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
  const std::vector<std::uint8_t> can_finish = graph.can_finish();
  if (report.end == SearchReport::End::kComplete) {
    find_stuck(world, graph, can_finish, limits, report);
  }
  if (has_table) report.crash_points = crash_points(world, graph, can_finish);
  return report;
}

}  // namespace

SearchReport search_from(World& world, const State& start, const SearchLimits& limits) {
  SharedWords surprises;
  SharedWords changing;
  if (!limits.all_stops) changing = changed_in_one_run(world, start);
  for (unsigned attempt = 0; !limits.all_stops && attempt < kAttemptsMax; ++attempt) {
    SearchReport report;
    {
      const QuietReads quiet(world.runner(), changing);
      report = search_once(world, start, limits, surprises);
    }
    changing |= surprises;
    if (surprises.any()) continue;
    if (report.end == SearchReport::End::kUnknown) break;
    std::optional<std::vector<Transition>> path =
        with_all_stops(world, start, changing, report.path);
    if (!path) break;
    report.path = std::move(*path);
    return report;
  }
  return search_once(world, start, limits, surprises);
}

SearchReport search(World& world, const SearchLimits& limits) {
  return search_from(world, world.initial(), limits);
}

}  // namespace hobbs::step
