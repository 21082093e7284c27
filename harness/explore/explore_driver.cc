#include "harness/explore/explore_driver.h"

#include <algorithm>

#include "harness/explore/plan.h"
#include "harness/explore/story.h"
#include "reports/replay_case.h"
#include "scenarios/suites/drawn_programs.h"
#include "scenarios/suites/small_programs.h"

namespace hobbs {
namespace {

using explore::Catch;
using explore::Coverage;
using explore::MemoryModel;

constexpr std::chrono::milliseconds kShrinkMin{300};
constexpr std::chrono::milliseconds kShrinkMax{3000};  // A reader waits for what was found.

Result base_result(const LockSpec& lock, const std::string& family, const std::string& rules) {
  Result result;
  result.lock = lock.name;
  result.scenario = "controlled/" + family;
  result.driver = "explore";
  result.topology = "fibres";
  result.rule = rules;
  return result;
}

ReplayCase replay_case(const LockSpec& lock, const Catch& caught, const std::string& scenario) {
  ReplayCase replay;
  replay.lock = lock.name;
  replay.claims = lock.claims;
  replay.driver = "explore";
  replay.scenario = scenario;
  replay.rule = caught.broken.rule;
  replay.program = caught.program;
  replay.topology = to_string(caught.topology);
  replay.schedule = explore::to_text(caught.schedule);
  replay.options["memory"] = explore::to_string(caught.model);
  return replay;
}

/// Tells a finding, once it has been replayed twice with the same result.
Result finding_result(const LockSpec& lock, const Catch& caught, const std::string& family) {
  Result result = base_result(lock, family, caught.broken.rule);
  constexpr int kReplays = 2;
  std::vector<explore::Event> events;
  std::unique_ptr<explore::Explorer> explorer;
  int again = 0;
  bool keeps_statics = false, knows_thread_by_address = false;
  for (int i = 0; i < kReplays; ++i) {
    events.clear();
    explore::Watch watch;
    again += explore::happens_again(lock, caught, &events, &explorer, &watch) ? 1 : 0;
    keeps_statics = watch.statics_changed();  // At first, that may be made at its first use.
    knows_thread_by_address = watch.knows_thread_by_address();
  }
  result.executions = caught.executions;
  if (keeps_statics) {
    result.verdict = Verdict::kSkipped;
    result.reason =
        "cannot be run: it keeps data in static variables, which its workers would share "
        "here, and find as the last execution left them";
    return result;
  }
  if (knows_thread_by_address && caught.topology == Topology::kThreads) {
    result.verdict = Verdict::kSkipped;
    result.reason =
        "cannot be run: it knows its threads by the addresses of thread-local variables, which its "
        "workers share here; by self() of its platform it could be";
    return result;
  }
  if (again != kReplays) {
    result.verdict = Verdict::kInconclusive;
    result.reason = "a violation did not replay, so nothing is claimed: " + caught.broken.text;
    return result;
  }
  result.verdict = Verdict::kFail;
  Finding finding;
  finding.summary = caught.broken.text;
  finding.program = to_text(caught.program);
  const ReplayCase replay = replay_case(lock, caught, result.scenario);
  finding.schedule = replay.schedule;
  finding.history = explore::story_of(events, *explorer, caught.broken);
  const bool threads = caught.topology == Topology::kThreads;
  finding.evidence.push_back("memory model " + explore::to_string(caught.model) +
                             ", workers that are " +
                             (threads ? "threads of one process, " : "forked processes, ") +
                             std::to_string(caught.preemptions) +
                             (caught.preemptions == 1 ? " preemption" : " preemptions") +
                             ", found after " + std::to_string(caught.executions) + " executions");
  if (caught.broken.rule == "MM-1") {
    finding.evidence.push_back(
        "a std::atomic_thread_fence cannot be seen here: a lock that has one is to call its "
        "platform's fence()");
  }
  finding.failed = static_cast<std::uint64_t>(again);
  finding.of = kReplays;
  finding.replay_json = to_json(replay);
  result.finding = std::move(finding);
  return result;
}

Result coverage_result(const LockSpec& lock, const std::string& family, const Coverage& covered) {
  Result result = base_result(lock, family, covered.rules);
  result.executions = covered.executions;
  result.duration_ms = covered.duration_ns / 1'000'000;
  if (covered.executions == 0 && !covered.not_of_several.empty()) {
    result.verdict = Verdict::kSkipped;
    result.reason = "its programs of several locks cannot be run: " + covered.not_of_several;
  } else if (covered.executions == 0) {
    result.verdict = Verdict::kInconclusive;
    result.reason = covered.not_exhausted.empty() ? "the budget ended before any execution"
                                                  : covered.not_exhausted;
  } else if (2 * covered.cut > covered.executions) {
    result.verdict = Verdict::kInconclusive;
    result.reason = "most executions were cut by the limit of steps";
  } else if (!covered.unsettled.empty()) {
    result.verdict = Verdict::kInconclusive;
    result.reason = covered.unsettled;
  } else {
    result.reason = std::to_string(covered.executions) + " executions of " +
                    std::to_string(covered.programs) + " programs";
    if (covered.cut > 0) {
      result.reason += ", " + std::to_string(covered.cut) + " of them cut by the limit of steps";
    }
    if (!covered.not_of_several.empty()) {
      result.reason += "; those of several locks were not run: " + covered.not_of_several;
    }
    result.complete = covered.exhausted == covered.pairs;
    if (covered.exhausted > 0) {
      result.reason +=
          "; all executions of " +
          (result.complete ? "these programs under each memory model"
                           : std::to_string(covered.exhausted) + " of " +
                                 std::to_string(covered.pairs) + " programs under a memory model") +
          ": " + std::to_string(covered.all_executions);
    }
    if (covered.exhaustive && !result.complete) {
      result.verdict = Verdict::kInconclusive;
      result.reason += "; of others not all: " + covered.not_exhausted;
    }
    if (covered.bound >= 0 && !result.complete) {
      const bool delays = covered.bounds == explore::Bounds::kDelays;
      result.reason += "; all executions with at most " + std::to_string(covered.bound) +
                       (delays ? " delays of " : " preemptions of ") +
                       std::to_string(covered.searched) + " programs under a memory model";
    }
  }
  return result;
}

bool parse_topology(const std::string& text, Topology& topology) {
  for (const Topology known :
       {Topology::kFork, Topology::kSpawn, Topology::kThreads, Topology::kMixed}) {
    if (to_string(known) != text) continue;
    topology = known;
    return true;
  }
  return false;
}

/// Fills `caught` from a replay file; returns an error sentence or nothing.
std::string read_catch(std::string_view json, Catch& caught, ReplayCase& replay) {
  ReplayParse parsed = parse_replay(json);
  if (!parsed.error.empty()) return parsed.error;
  replay = std::move(parsed.replay);
  explore::ScheduleParse schedule = explore::parse_schedule(replay.schedule);
  if (!schedule.error.empty()) return schedule.error;
  caught.schedule = std::move(schedule.schedule);
  caught.program = replay.program;
  caught.broken.rule = replay.rule;
  if (!replay.topology.empty() && !parse_topology(replay.topology, caught.topology)) {
    return "topology '" + replay.topology + "' is none of fork, spawn, threads, mixed";
  }
  const auto memory = replay.options.find("memory");
  if (memory != replay.options.end()) {
    const std::vector<MemoryModel> models = explore::models_of(memory->second);
    if (models.size() != 1) return "memory '" + memory->second + "' is none of sc, tso, c11";
    caught.model = models.front();
  }
  return "";
}

/// What a replay that did not break its rule says.
void judge_unbroken(const explore::Ending& ending, Result& result) {
  using Kind = explore::Ending::Kind;
  if (ending.kind == Kind::kDone || ending.kind == Kind::kStuck) return;
  result.verdict = Verdict::kInconclusive;
  if (ending.kind == Kind::kBroken) {
    result.reason = "it breaks " + ending.broken.rule + " instead: " + ending.broken.text;
  } else if (ending.kind == Kind::kRefused) {
    result.reason = std::string(kNotFollowed) + " (" + ending.broken.text + ")";
  } else {
    result.reason = "how it would have gone on is not known";
  }
}

}  // namespace

std::string ExploreDriver::unfit(const LockSpec& lock) const {
  if (!lock.controlled.available()) {
    return "no template over Platform: its operations cannot be controlled from source";
  }
#ifdef HOBBS_TSAN
  if (lock.home == Home::kPath) {
    return "ThreadSanitizer's runtime makes file calls before they could be modelled";
  }
#endif
  return "";
}

std::vector<ScenarioInfo> ExploreDriver::scenarios(const LockSpec& lock) const {
  std::vector<ScenarioInfo> list;
  if (const std::vector<Program> small = small_programs(lock); !small.empty()) {
    list.push_back({"controlled/enumerated", small_program_rules(lock),
                    "interleavings of all " + std::to_string(small.size()) + " small programs"});
  }
  if (const Program drawn = drawn_program(lock, 1); !drawn.workers.empty()) {
    list.push_back({"controlled/drawn", small_program_rules(lock),
                    "interleavings of programs drawn at random, such as: " + to_text(drawn)});
  }
  for (const ControlledProgram& program : controlled_programs(lock)) {
    const std::string name = "controlled/" + program.family;
    const bool known = std::any_of(list.begin(), list.end(),
                                   [&name](const ScenarioInfo& info) { return info.name == name; });
    if (!known) {
      list.push_back(
          {name, program.rules, "interleavings such as of: " + to_text(program.program)});
    }
  }
  return list;
}

std::vector<Result> ExploreDriver::run(const LockSpec& lock, const Request& request) {
  explore::PlanOutcome outcome = explore::Plan(lock, request).run();
  std::vector<Result> results;
  for (const auto& [family, covered] : outcome.families) {
    if (outcome.caught && family == outcome.caught_family) continue;
    // With a finding, what was not run yet is not worth a line.
    if (outcome.caught && covered.executions == 0) continue;
    results.push_back(coverage_result(lock, family, covered));
    if (outcome.refused.empty()) continue;
    results.back().verdict = Verdict::kSkipped;
    results.back().reason = "cannot be run: " + outcome.refused;
  }
  if (outcome.caught) {
    const auto now = explore::Clock::now();
    const auto until = std::clamp(request.until, now + kShrinkMin, now + kShrinkMax);
    results.push_back(finding_result(
        lock, explore::shrink(lock, *outcome.caught, request.seed, until), outcome.caught_family));
    // What cannot be run has not passed anything either.
    if (const Result last = results.back(); last.verdict == Verdict::kSkipped) {
      for (Result& result : results) result.verdict = last.verdict, result.reason = last.reason;
    }
  }
  return results;
}

ReplayOutcome ExploreDriver::replay(const LockSpec& lock, std::string_view replay_json,
                                    const Request&) {
  ReplayOutcome outcome;
  Catch caught;
  ReplayCase replay;
  outcome.error = unfit(lock);
  if (outcome.error.empty()) outcome.error = read_catch(replay_json, caught, replay);
  if (outcome.error.empty()) {
    const auto explorer = explore::Explorer::create(lock, caught.model, caught.topology);
    outcome.error = explorer->load(caught.program);
  }
  if (!outcome.error.empty()) return outcome;
  constexpr std::uint64_t kTimes = 2;
  outcome.of = kTimes;
  std::vector<explore::Event> events;
  std::unique_ptr<explore::Explorer> explorer;
  explore::Ending ending;
  for (std::uint64_t i = 0; i < kTimes; ++i) {
    events.clear();
    ending = explore::run_again(lock, caught, &events, &explorer);
    const bool again =
        ending.kind == explore::Ending::Kind::kBroken && ending.broken.rule == replay.rule;
    outcome.failed += again ? 1 : 0;
  }
  outcome.result = base_result(lock, "replay", replay.rule);
  outcome.result.scenario = replay.scenario;
  outcome.result.executions = kTimes;
  if (outcome.failed == 0) {
    judge_unbroken(ending, outcome.result);
    return outcome;
  }
  outcome.result.verdict = Verdict::kFail;
  Finding finding;
  finding.summary = "rule " + replay.rule + " broke again";
  finding.program = to_text(caught.program);
  finding.schedule = replay.schedule;
  finding.history = explore::story_of(events, *explorer, caught.broken);
  finding.failed = outcome.failed;
  finding.of = outcome.of;
  finding.replay_json = std::string(replay_json);
  outcome.result.finding = std::move(finding);
  return outcome;
}

}  // namespace hobbs
