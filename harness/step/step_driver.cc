#include "harness/step/step_driver.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <thread>

#include "harness/glob.h"
#include "harness/step/baton.h"
#include "harness/step/native.h"
#include "harness/step/programs.h"
#include "harness/step/search.h"
#include "harness/step/trace.h"
#include "reports/replay_case.h"

namespace hobbs {
namespace {

using step::Memory;
using step::NamedProgram;
using step::SearchReport;
using step::Transition;
using step::World;

constexpr std::string_view kRules = "ME-1,ME-3,ME-4,LV-1,LV-2,TR-2,TO-1";
constexpr std::string_view kSharedRules = "ME-1,RW-1,ME-3,ME-4,LV-1,LV-2,TR-2,TO-1";
constexpr std::string_view kCrashRules = "ME-1,CR-1,CR-5,CR-6";

std::string memory_name(Memory memory) { return memory == Memory::kSequential ? "sc" : "tso"; }

std::string scenario_name(const NamedProgram& program, Memory memory) {
  return "binary/" + memory_name(memory) + "/" + program.name;
}

std::string rules_of(const LockSpec& lock, const NamedProgram& program) {
  if (program.kills > 0) return std::string(kCrashRules);
  return std::string(lock.real.has_shared() ? kSharedRules : kRules);
}

std::int64_t to_ns(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

/// glibc takes short cuts until a process has had a second thread; the workers are to run the
/// code that a real program runs.
void have_been_multithreaded() {
  static const bool once = [] {
    std::thread([] {}).join();
    return true;
  }();
  (void)once;
}

/// One search: a program under a memory model.
struct Case {
  const LockSpec& lock;
  NamedProgram program;
  step::WorldOptions options;

  std::string scenario() const { return scenario_name(program, options.memory); }
};

Case make_case(const LockSpec& lock, NamedProgram program, Memory memory, int preemptions,
               const std::string& directory) {
  Case made{lock, std::move(program), {}};
  made.options.memory = memory;
  made.options.kills = made.program.kills;
  made.options.signals = made.program.signals;
  made.options.preemptions = preemptions;
  if (lock.home == Home::kPath) made.options.path = directory + "/step.lock";
  return made;
}

std::vector<Moment> moments(World& world, const std::vector<Transition>& path) {
  std::vector<Moment> history;
  std::vector<step::TraceLine> lines = step::trace(world, path);
  for (std::size_t i = 0; i < path.size(); ++i) {
    Moment moment;
    moment.worker = path[i].worker + 1u;
    moment.text = std::move(lines[i].text);
    moment.where = std::move(lines[i].where);
    moment.evidence = i + 1 == path.size();
    history.push_back(std::move(moment));
  }
  return history;
}

ReplayCase replay_case(const Case& one, const SearchReport& report) {
  ReplayCase replay;
  replay.lock = one.lock.name;
  replay.claims = one.lock.claims;
  replay.driver = "step";
  replay.scenario = one.scenario();
  replay.rule = report.rule;
  replay.program = one.program.program;
  replay.topology = "processes";
  replay.schedule = step::to_text(report.path);
  replay.options["memory"] = memory_name(one.options.memory);
  replay.options["kills"] = std::to_string(one.options.kills);
  replay.options["signals"] = std::to_string(one.options.signals);
  return replay;
}

/// Runs a schedule again; true if it breaks `rule` at its end as it did before.
bool happens_again(const Case& one, const std::string& rule, const std::vector<Transition>& path,
                   std::int64_t deadline_ns) {
  step::WorldOptions options = one.options;
  options.preemptions = -1;  // The schedule is given.
  World world(one.lock, one.program.program, options);
  step::State state = world.initial();
  std::vector<Transition> enabled;
  for (std::size_t i = 0; i < path.size(); ++i) {
    world.enabled(state, enabled);
    if (std::find(enabled.begin(), enabled.end(), path[i]) == enabled.end()) return false;
    const step::Incident incident = world.step(state, path[i]);
    if (!incident.none()) return incident.rule == rule && i + 1 == path.size();
  }
  // Nothing broke on the way: the finding is that the workers cannot finish from here.
  step::SearchLimits limits;
  limits.deadline_ns = deadline_ns;
  const SearchReport rest = step::search_from(world, state, limits);
  return rest.end == SearchReport::End::kViolation && rest.rule == rule && rest.path.empty();
}

Result base_result(const Case& one) {
  Result result;
  result.lock = one.lock.name;
  result.scenario = one.scenario();
  result.driver = "step";
  result.topology = "processes";
  result.rule = rules_of(one.lock, one.program);
  return result;
}

void add_finding(const Case& one, const SearchReport& report, World& world,
                 std::int64_t deadline_ns, Result& result) {
  const ReplayCase replay = replay_case(one, report);
  constexpr unsigned kReplays = 2;
  unsigned failed = 0;
  for (unsigned i = 0; i < kReplays; ++i) {
    failed += happens_again(one, report.rule, report.path, deadline_ns) ? 1 : 0;
  }
  if (failed != kReplays) {
    result.verdict = Verdict::kInconclusive;
    result.reason = "a violation did not replay: " + report.summary;
    return;
  }
  const bool ends_stuck = report.rule == "LV-1" || report.rule == "CR-5";
  const step::NativeReport native = step::run_natively(world, report.path, ends_stuck);
  if (native.end == step::NativeReport::End::kDiffers) {
    result.verdict = Verdict::kInconclusive;
    result.reason = "the model finds \"" + report.summary +
                    "\", but the real processes do not follow it: " + native.reason;
    return;
  }
  result.verdict = Verdict::kFail;
  result.rule = report.rule;
  Finding finding;
  finding.summary = report.summary;
  finding.program = to_text(one.program.program);
  finding.schedule = replay.schedule;
  finding.history = moments(world, report.path);
  finding.evidence.push_back("memory model " + memory_name(one.options.memory) + ", " +
                             std::to_string(report.path.size()) +
                             " transitions, the shortest way there");
  finding.evidence.push_back(
      native.end == step::NativeReport::End::kReproduced
          ? "reproduced by real processes on this kernel, instruction by instruction"
          : "not tried with real processes: " + native.reason);
  finding.failed = failed;
  finding.of = kReplays;
  finding.replay_json = to_json(replay);
  result.finding = std::move(finding);
}

/// Of this thread: others on the machine shall not make the search look slow.
std::int64_t processor_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

std::string counts_text(const SearchReport& report, std::int64_t took_ns) {
  char rate[64];
  const double per_us = 1000.0 * static_cast<double>(report.transitions) /
                        static_cast<double>(std::max<std::int64_t>(1, took_ns));
  std::snprintf(rate, sizeof rate, " at %.1f million a second", per_us);
  return std::to_string(report.states) + " states, " + std::to_string(report.transitions) +
         " transitions" + (report.transitions >= 1000 ? rate : "");
}

Result search_one(const Case& one, std::int64_t deadline_ns, bool shows_table) {
  Result result = base_result(one);
  const auto start = std::chrono::steady_clock::now();
  World world(one.lock, one.program.program, one.options);
  step::SearchLimits limits;
  limits.deadline_ns = deadline_ns;
  const std::int64_t start_ns = processor_ns();
  const SearchReport report = step::search(world, limits);
  result.executions = report.transitions;
  const std::string counts = counts_text(report, processor_ns() - start_ns);
  const std::string table =
      report.crash_points.empty() || !shows_table
          ? ""
          : "\n" + step::crash_table(report.crash_points,
                                     one.lock.claims.crash == CrashBehaviour::kStuck);
  switch (report.end) {
    case SearchReport::End::kComplete:
      result.complete = one.options.preemptions < 0;
      result.reason = "all of " + counts;
      if (!result.complete) {
        result.reason +=
            " with at most " + std::to_string(one.options.preemptions) + " preemptions";
      }
      if (report.stuck_as_promised > 0) {
        result.reason += "; " + std::to_string(report.stuck_as_promised) +
                         " stuck after a death, as the lock's claims allow";
      }
      result.reason += table;
      break;
    case SearchReport::End::kViolation:
      add_finding(one, report, world, deadline_ns, result);
      result.reason += table;
      if (result.finding && !table.empty()) result.finding->evidence.push_back(table.substr(1));
      break;
    case SearchReport::End::kUnknown:
    case SearchReport::End::kLimit:
      result.verdict = Verdict::kInconclusive;
      result.reason = report.summary + " (" + counts + " visited)";
      break;
  }
  result.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::steady_clock::now() - start)
                           .count();
  return result;
}

/// All schedules, or those within the bound, by real processes alone: --strategy native.
Result run_natively_only(const Case& one, std::int64_t deadline_ns) {
  Result result = base_result(one);
  World world(one.lock, one.program.program, one.options);
  const auto start = std::chrono::steady_clock::now();
  const step::BatonReport report =
      step::run_all_schedules(world, one.options.preemptions, deadline_ns);
  result.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::steady_clock::now() - start)
                           .count();
  result.executions = report.schedules;
  result.complete = report.complete && one.options.preemptions < 0;
  result.reason = std::to_string(report.schedules) + " schedules by real processes, " +
                  std::to_string(report.stops) + " stops";
  if (!report.finding.empty()) {
    // Without the search that found it there is no schedule to replay.
    result.verdict = Verdict::kInconclusive;
    result.reason = report.finding + " after " + result.reason +
                    "; search it without --strategy native for the schedule";
  } else if (!report.complete) {
    result.verdict = Verdict::kInconclusive;
    result.reason =
        (report.refusal.empty() ? "out of time" : report.refusal) + " after " + result.reason;
  }
  return result;
}

/// A world that cannot be had here (memory, files, an unknown C library) is no verdict.
Result search_or_excuse(const Case& one, std::int64_t deadline_ns, const Request& request) {
  try {
    if (request.strategy == "native") return run_natively_only(one, deadline_ns);
    return search_one(one, deadline_ns, request.kills > 0);
  } catch (const std::runtime_error& error) {
    Result result = base_result(one);
    result.verdict = Verdict::kInconclusive;
    result.reason = error.what();
    return result;
  }
}

/// Fills in what a replay file says beside the schedule; returns an error sentence or nothing.
std::string read_options(const LockSpec& lock, const ReplayCase& replay, Memory& memory,
                         NamedProgram& program) {
  for (const auto& [name, value] : replay.options) {
    const bool is_digit = value.size() == 1 && value[0] >= '0' && value[0] <= '9';
    if (name == "memory" && (value == "sc" || value == "tso")) {
      memory = value == "tso" ? Memory::kTotalStoreOrder : Memory::kSequential;
    } else if (is_digit && (name == "kills" || name == "signals")) {
      (name == "kills" ? program.kills : program.signals) = static_cast<unsigned>(value[0] - '0');
    } else {
      return "option " + name + "=" + value +
             " is none of memory=sc, memory=tso, kills=0 to 9, signals=0 to 9";
    }
  }
  if (replay.program.workers.size() > step::kMaxStepWorkers) {
    return "step runs at most " + std::to_string(step::kMaxStepWorkers) + " workers";
  }
  if (!World::can_run(lock, replay.program)) {
    return "step runs lock, try, timed, unlock and conversions, where the lock has them";
  }
  return "";
}

std::vector<Memory> memories(const Request& request) {
  if (request.memory == "sc") return {Memory::kSequential};
  if (request.memory == "tso") return {Memory::kTotalStoreOrder};
  return {Memory::kSequential, Memory::kTotalStoreOrder};
}

}  // namespace

std::string StepDriver::unfit(const LockSpec& lock) const {
#if !defined(__x86_64__)
  return "step models x86-64 machine code only";
#endif
  if (!lock.claims.process_shared) return "step models processes; this lock is for threads only";
  if (!lock.real.available()) return "no uninstrumented code of this lock";
  if (lock.real.size > step::kSharedBytes) {
    return "the lock's object is larger than " + std::to_string(step::kSharedBytes) + " bytes";
  }
  return "";
}

std::vector<ScenarioInfo> StepDriver::scenarios(const LockSpec& lock) const {
  std::vector<ScenarioInfo> list;
  for (const Memory memory : {Memory::kSequential, Memory::kTotalStoreOrder}) {
    for (const NamedProgram& program : step::step_programs(lock, 0, 0, 0)) {
      list.push_back(
          {scenario_name(program, memory), rules_of(lock, program),
           "every interleaving of the lock's own machine code: " + to_text(program.program)});
    }
  }
  return list;
}

std::vector<Result> StepDriver::run(const LockSpec& lock, const Request& request) {
  have_been_multithreaded();
  std::vector<Result> results;
  const std::int64_t until_ns = to_ns(request.until);
  for (const NamedProgram& program :
       step::step_programs(lock, request.workers, request.acquisitions, request.kills)) {
    for (const Memory memory : memories(request)) {
      const Case one =
          make_case(lock, program, memory, request.preemptions, request.work_directory);
      if (request.strategy == "native" &&
          (memory != Memory::kSequential || program.kills > 0 || program.signals > 0 ||
           !step::is_plain(program.program) || lock.home == Home::kPath)) {
        continue;  // The machine's own memory, and calls that only acquire and release.
      }
      if (request.memory == "c11" || !glob_match(request.scenarios, one.scenario()) ||
          !glob_match_any(request.rules, rules_of(lock, program))) {
        continue;
      }
      if (std::chrono::steady_clock::now() >= request.until) {
        Result late = base_result(one);
        late.verdict = Verdict::kInconclusive;
        late.reason = "the budget ended before this search";
        results.push_back(std::move(late));
        continue;
      }
      request.progress("step " + lock.name + " " + one.scenario());
      results.push_back(search_or_excuse(one, until_ns, request));
      const Result& last = results.back();
      if (last.verdict == Verdict::kFail && request.stop_at_first_finding) return results;
      // What one small program runs into, the larger ones do too.
      const bool only_here = program.signals > 0;
      if (last.verdict == Verdict::kInconclusive && last.executions < 1000 && !only_here) {
        return results;
      }
    }
  }
  return results;
}

ReplayOutcome StepDriver::replay(const LockSpec& lock, std::string_view replay_json,
                                 const Request& request) {
  have_been_multithreaded();
  ReplayOutcome outcome;
  const ReplayParse parsed = parse_replay(replay_json);
  std::vector<Transition> path;
  if (!parsed.error.empty()) {
    outcome.error = parsed.error;
  } else if (!step::parse_path(parsed.replay.schedule, path)) {
    outcome.error = "the schedule is not of the form \"1 2 1d 2k\": worker, then d, t or k";
  } else if (const std::string reason = unfit(lock); !reason.empty()) {
    outcome.error = reason;
  }
  if (!outcome.error.empty()) return outcome;
  const ReplayCase& replay = parsed.replay;
  Memory memory = Memory::kSequential;
  NamedProgram program;
  program.name = "replay";
  program.program = replay.program;
  outcome.error = read_options(lock, replay, memory, program);
  if (!outcome.error.empty()) return outcome;
  outcome.of = 2;
  const Case one = make_case(lock, program, memory, -1, request.work_directory);
  for (int i = 0; i < 2; ++i) {
    outcome.failed += happens_again(one, replay.rule, path, to_ns(request.until)) ? 1 : 0;
  }
  outcome.result = base_result(one);
  outcome.result.scenario = replay.scenario;
  outcome.result.rule = replay.rule;
  outcome.result.executions = outcome.of;
  if (outcome.failed > 0) {
    World world(lock, replay.program, one.options);
    outcome.result.verdict = Verdict::kFail;
    Finding finding;
    finding.summary = "rule " + replay.rule + " broke again";
    finding.program = to_text(replay.program);
    finding.schedule = replay.schedule;
    finding.history = moments(world, path);
    finding.failed = outcome.failed;
    finding.of = outcome.of;
    finding.replay_json = std::string(replay_json);
    outcome.result.finding = std::move(finding);
  }
  return outcome;
}

}  // namespace hobbs
