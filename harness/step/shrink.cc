#include "harness/step/shrink.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <utility>

#include "harness/step/walk.h"
#include "scenarios/smaller_programs.h"

namespace hobbs::step {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kProgramsMax = 500;
constexpr std::uint64_t kStatesMax = 300'000;  // A tenth of a second.
constexpr int kBoundMax = 3;
constexpr int kCountsFrom = 200;  // More preemptions than that are not counted.

/// To most locks all workers are alike, so that their order makes no other program.
std::string name_of(const Program& program) {
  std::vector<std::string> lines;
  for (const auto& steps : program.workers) {
    Program alone;
    alone.workers = {steps};
    lines.push_back(to_text(alone));
  }
  std::sort(lines.begin(), lines.end());
  std::string name;
  for (const std::string& line : lines) name += line + "|";
  return name;
}

/// The program and all below it, the smallest first; of equal ones the fewest workers first.
std::vector<Program> family(const LockSpec& lock, const Program& program) {
  std::vector<Program> all{program};
  std::set<std::string> known{name_of(program)};
  for (std::size_t i = 0; i < all.size() && all.size() < kProgramsMax; ++i) {
    for (Program& less : smaller_programs(all[i])) {
      if (World::can_run(lock, less) && known.insert(name_of(less)).second) {
        all.push_back(std::move(less));
      }
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Program& a, const Program& b) {
    return std::pair(size_of(a), a.workers.size()) < std::pair(size_of(b), b.workers.size());
  });
  return all;
}

class Shrinking {
 public:
  Shrinking(const StepCase& found, const SearchReport& report, Clock::time_point until)
      : found_(found), until_(until), best_{found.program.program, report, true} {}

  Small run() {
    for (const Program& program : family(found_.lock, found_.program.program)) {
      if (late()) break;
      WorldOptions options = found_.options;
      options.preemptions = -1;
      World world(found_.lock, program, options);
      const bool is_itself = program == found_.program.program;
      if (!breaks(world, is_itself)) continue;
      straighten(world);
      break;
    }
    return std::move(best_);
  }

 private:
  bool late() {
    if (Clock::now() < until_) return false;
    best_.finished = false;
    return true;
  }

  SearchLimits limits() const { return {.states_max = kStatesMax, .deadline_ns = to_ns(until_)}; }

  bool adopt(World& world, SearchReport report) {
    if (report.end == SearchReport::End::kLimit) best_.finished = false;
    const bool same =
        report.end == SearchReport::End::kViolation && report.rule == best_.report.rule;
    if (!same) return false;
    best_.program = world.program();
    best_.report.path = std::move(report.path);
    best_.report.summary = std::move(report.summary);
    best_.report.crash_points = std::move(report.crash_points);
    return true;
  }

  /// The program that was drawn from needs no search: it breaks.
  bool breaks(World& world, bool is_itself) {
    if (is_itself) return true;
    SearchReport whole = search(world, limits());
    if (whole.end != SearchReport::End::kLimit) return adopt(world, std::move(whole));
    for (int bound = 0; bound <= kBoundMax && !late(); ++bound) {
      SearchReport part = search_bounded(world, bound, limits());
      if (part.end == SearchReport::End::kLimit) break;
      if (adopt(world, std::move(part))) return true;
    }
    best_.finished = false;
    return false;
  }

  /// The same with fewer preemptions: all schedules with 0, then 1, 2, ... of them.
  void straighten(World& world) {
    const int now = preemptions_of(world, best_.report.path);
    for (int bound = 0; bound < now && bound <= kBoundMax && !late(); ++bound) {
      if (adopt(world, search_bounded(world, bound, limits()))) return;
    }
  }

  const StepCase& found_;
  const Clock::time_point until_;
  Small best_;
};

}  // namespace

int preemptions_of(World& world, const std::vector<Transition>& path) {
  State state = world.initial();
  state.head.preemptions_left = kCountsFrom;
  for (const Transition& one : path) {
    if (state.head.preemptions_left == 0) break;
    world.step(state, one);
  }
  return kCountsFrom - state.head.preemptions_left;
}

Small shrink(const StepCase& found, const SearchReport& report, Clock::time_point until) {
  return Shrinking(found, report, until).run();
}

}  // namespace hobbs::step
