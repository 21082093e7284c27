#include "harness/step/crash_points.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace hobbs::step {
namespace {

/// What can follow a state, as bits.
enum Future : std::uint8_t {
  kIsTold = 1,
  kIsGiven = 2,
  kNobody = 4,
  kGetsStuck = 8,
  kBreaks = 16,
};

enum Role : std::uint64_t { kAcquiring, kWaiting, kHolding, kReleasing, kRecovering };
constexpr const char* kRoles[] = {"acquiring", "waiting", "holding", "releasing", "recovering"};

std::vector<std::uint8_t> futures(const Graph& graph, const std::vector<std::uint8_t>& can_finish) {
  std::vector<std::uint8_t> future(graph.size(), 0);
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    if (can_finish[i] == 0) future[i] |= kGetsStuck;
    if (World::is_final(graph.state(i).head)) future[i] |= kNobody;
  }
  constexpr std::uint8_t kFirstAnswer = kIsTold | kIsGiven | kNobody;
  // Most edges lead to higher numbers, so a few passes from the end reach everything.
  for (bool changed = true; changed;) {
    changed = false;
    for (std::uint32_t i = graph.size(); i-- > 0;) {
      std::uint8_t all = future[i];
      for (const Edge* edge = graph.edges_begin(i); edge != graph.edges_end(i); ++edge) {
        if ((edge->marks & kBroke) != 0) {
          all |= kBreaks;
          continue;
        }
        const std::uint8_t after = future[edge->to];
        all |= static_cast<std::uint8_t>(after & (kGetsStuck | kBreaks));
        // The first acquirer after the death answers; what comes later is another story.
        all |= (edge->marks & kTold) != 0       ? std::uint8_t{kIsTold}
               : (edge->marks & kAcquired) != 0 ? std::uint8_t{kIsGiven}
                                                : static_cast<std::uint8_t>(after & kFirstAnswer);
      }
      changed |= all != future[i];
      future[i] = all;
    }
  }
  return future;
}

/// Of the kRoles, by index.
std::uint64_t role_of(const World& world, const Head& head, std::size_t w) {
  const WorkerHead& worker = head.workers[w];
  if (worker.phase == Phase::kBetween) return kHolding;
  const Verb verb = world.program().workers[w][worker.step].verb;
  if (verb == Verb::kRelease) return kReleasing;
  if (head.any_dead != 0) return kRecovering;
  for (std::size_t i = 0; i < head.count; ++i) {
    if (i != w && head.workers[i].holds()) return kWaiting;
  }
  return worker.phase == Phase::kAsleep ? kWaiting : kAcquiring;
}

std::string instruction_of(const Graph& graph, const Compact& state, std::size_t w) {
  const WorkerHead& worker = state.head.workers[w];
  if (worker.phase == Phase::kBetween) return "inside the section";
  const std::uint64_t rip = graph.space().rip_of(state.locals[w]);
  return (worker.phase == Phase::kAsleep ? "asleep in " : "") + Decoder::text(rip);
}

void note(CrashPoint& point, std::uint8_t future) {
  ++point.states;
  point.told |= (future & kIsTold) != 0;
  point.released |= (future & kIsGiven) != 0;
  point.unasked |= (future & kNobody) != 0;
  point.broken |= (future & kBreaks) != 0;
  point.stuck |= (future & kGetsStuck) != 0;
}

void pad(std::string& text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
}

}  // namespace

std::string CrashPoint::outcome() const {
  std::string text;
  const auto add = [&text](bool applies, const char* word) {
    if (applies) text += (text.empty() ? "" : " or ") + std::string(word);
  };
  add(told, "told");
  add(released, "released");
  add(stuck, "STUCK");
  add(broken, "BROKEN");
  if (text.empty()) add(unasked, "nobody comes after");
  return text;
}

std::vector<CrashPoint> crash_points(World& world, const Graph& graph,
                                     const std::vector<std::uint8_t>& can_finish) {
  const std::vector<std::uint8_t> future = futures(graph, can_finish);
  std::vector<CrashPoint> points;
  std::unordered_map<std::uint64_t, std::size_t> index;
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    const Compact state = graph.state(i);
    if (state.head.kills_left == 0) continue;
    for (const Edge* edge = graph.edges_begin(i); edge != graph.edges_end(i); ++edge) {
      if (edge->kind != static_cast<std::uint8_t>(Transition::Kind::kKill)) continue;
      const std::size_t w = edge->worker;
      const bool asleep = state.head.workers[w].phase == Phase::kAsleep;
      const bool in_code = state.head.workers[w].phase != Phase::kBetween;
      const std::uint64_t rip = in_code ? graph.space().rip_of(state.locals[w]) : 0;
      const std::uint64_t role = role_of(world, state.head, w);
      // Addresses of a program are below 2^47.
      const auto [at, is_new] =
          index.try_emplace(rip << 4 | role << 1 | (asleep ? 1 : 0), points.size());
      if (is_new) {
        points.emplace_back();
        points.back().role = kRoles[role];
        points.back().instruction = instruction_of(graph, state, w);
      }
      note(points[at->second], future[edge->to]);
    }
  }
  return points;
}

std::string crash_table(const std::vector<CrashPoint>& points, bool stuck_is_claimed) {
  std::size_t width = 11;
  for (const CrashPoint& point : points) width = std::max(width, point.instruction.size());
  std::string text = "role        killed before";
  pad(text, 12 + width + 2);
  text += "states  what becomes of the lock\n";
  std::map<std::string, unsigned> sums;
  for (const CrashPoint& point : points) {
    std::string line = point.role;
    pad(line, 12);
    line += point.instruction;
    pad(line, 12 + width + 2);
    std::string states = std::to_string(point.states);
    pad(states, 8);
    text += line + states + point.outcome() +
            (point.stuck && stuck_is_claimed ? ", as claimed" : "") + "\n";
    ++sums[point.outcome()];
  }
  text += std::to_string(points.size()) + " points:";
  for (const auto& [outcome, count] : sums)
    text += " " + std::to_string(count) + " " + outcome + ",";
  text.back() = '\n';
  return text;
}

}  // namespace hobbs::step
