#include "harness/step/search.h"

#include <algorithm>

namespace hobbs::step {
namespace {

SearchReport::End end_of(Graph::End end) {
  switch (end) {
    case Graph::End::kComplete: return SearchReport::End::kComplete;
    case Graph::End::kViolation: return SearchReport::End::kViolation;
    case Graph::End::kUnknown: return SearchReport::End::kUnknown;
    case Graph::End::kLimit: return SearchReport::End::kLimit;
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
void find_stuck(World& world, const Graph& graph, const SearchLimits& limits,
                SearchReport& report) {
  const std::vector<std::uint8_t> can_finish = graph.can_finish();
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    if (can_finish[i] != 0) continue;
    const Compact state = graph.state(i);
    if (world.may_be_stuck(state.head)) {
      ++report.stuck_as_promised;
      continue;
    }
    if (world.options().preemptions >= 0 &&
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

}  // namespace

SearchReport search_from(World& world, const State& start, const SearchLimits& limits) {
  Graph graph(world);
  SearchReport report;
  SearchLimits own = limits;
  own.past_violations |= start.head.kills_left > 0;  // For the table of crash points.
  report.end = end_of(graph.explore(start, own));
  report.states = graph.size();
  report.transitions = graph.transitions();
  report.moves = graph.space().moves_made();
  report.summary = graph.summary();
  report.rule = graph.rule();
  report.path = graph.offence();
  if (report.end == SearchReport::End::kComplete) find_stuck(world, graph, limits, report);
  const bool whole =
      report.end == SearchReport::End::kComplete || report.end == SearchReport::End::kViolation;
  if (whole && start.head.kills_left > 0) report.crash_points = crash_points(world, graph);
  return report;
}

SearchReport search(World& world, const SearchLimits& limits) {
  return search_from(world, world.initial(), limits);
}

}  // namespace hobbs::step
