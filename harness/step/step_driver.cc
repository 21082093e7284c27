#include "harness/step/step_driver.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "harness/glob.h"
#include "harness/step/baton.h"
#include "harness/step/plain_trial.h"
#include "harness/step/step_case.h"
#include "harness/step/step_result.h"

namespace hobbs {
namespace {

using step::Memory;
using step::NamedProgram;
using step::StepCase;
using step::Transition;
using step::World;

/// glibc takes short cuts until a process has had a second thread; the workers are to run the
/// code that a real program runs.
void have_been_multithreaded() {
  static const bool once = [] {
    std::thread([] {}).join();
    return true;
  }();
  (void)once;
}

constexpr int kPreemptionsIfBounded = 2;  // Of --strategy bounded without a number.

std::vector<Memory> memories(const Request& request) {
  if (request.memory == "sc") return {Memory::kSequential};
  if (request.memory == "tso") return {Memory::kTotalStoreOrder};
  return {Memory::kSequential, Memory::kTotalStoreOrder};
}

/// Real processes have the machine's own memory, and run calls that only acquire and release.
bool can_run_natively(const StepCase& one) {
  return one.options.memory == Memory::kSequential && one.program.kills == 0 &&
         one.program.signals == 0 && step::is_plain(one.program.program) &&
         one.lock.home != Home::kPath;
}

/// Why what was asked for cannot be searched; empty if it can.
std::string refusal(const Request& request) {
  constexpr std::size_t kMostAcquisitions = step::kMaxStepsPerWorker / 2;
  if (request.memory == "c11") return "step runs machine code: its memory models are sc and tso";
  if (request.workers > step::kMaxStepWorkers) {
    return "step runs at most " + std::to_string(step::kMaxStepWorkers) + " workers, not " +
           std::to_string(request.workers);
  }
  if (request.acquisitions > kMostAcquisitions) {
    return "step runs at most " + std::to_string(kMostAcquisitions) +
           " acquisitions of each worker, not " + std::to_string(request.acquisitions);
  }
  return "";
}

std::vector<StepCase> chosen_cases(const LockSpec& lock, const Request& request) {
  const int preemptions = request.strategy == "bounded" && request.preemptions < 0
                              ? kPreemptionsIfBounded
                              : request.preemptions;
  std::vector<StepCase> chosen;
  for (const NamedProgram& program :
       step::step_programs(lock, request.workers, request.acquisitions, request.kills)) {
    for (const Memory memory : memories(request)) {
      const StepCase one =
          step::make_case(lock, program, memory, preemptions, request.work_directory);
      if (request.strategy == "native" && !can_run_natively(one)) continue;
      if (program.on_demand && request.scenarios == "*") continue;
      if (glob_match(request.scenarios, one.scenario()) &&
          glob_match_any(request.rules, one.rules())) {
        chosen.push_back(one);
      }
    }
  }
  return chosen;
}

/// See plain_trial.h.
step::Again again_alone(const StepCase& one, const Request& request) {
  using End = step::Again::End;
  const bool faulted = step::try_plainly(one, request.until).end == step::PlainTrial::End::kFaulted;
  return {faulted ? End::kBroken : End::kKept, ""};
}

/// What a replay that did not break its rule says.
void judge_unbroken(const step::Again& again, Result& result) {
  using End = step::Again::End;
  if (again.end == End::kKept) return;
  result.verdict = Verdict::kInconclusive;
  result.reason = again.end == End::kNotFollowed ? kNotFollowed
                  : again.end == End::kOther     ? "it breaks " + again.what + " instead"
                                                 : "how it would have gone on is not known";
  if (again.end == End::kUndecided && !again.what.empty()) result.reason += ": " + again.what;
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
      const StepCase one = step::make_case(lock, program, memory, -1, "");
      list.push_back(
          {one.scenario(), one.rules(),
           std::string(program.on_demand ? "where --scenarios asks for it, " : "") +
               "every interleaving of the lock's own machine code: " + to_text(program.program)});
    }
  }
  return list;
}

std::vector<Result> StepDriver::run(const LockSpec& lock, const Request& request) {
  have_been_multithreaded();
  std::vector<Result> results;
  if (std::string why = refusal(request); !why.empty()) {
    Result result;
    result.lock = lock.name;
    result.scenario = "binary";
    result.driver = "step";
    result.topology = "processes";
    result.verdict = Verdict::kSkipped;
    result.reason = std::move(why);
    results.push_back(std::move(result));
    return results;
  }
  const std::vector<StepCase> cases = chosen_cases(lock, request);
  step::PlainTrials trials;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= request.until) {
      results.push_back(step::base_result(cases[i]));
      results.back().verdict = Verdict::kInconclusive;
      results.back().reason = "the budget ended before this search";
      continue;
    }
    request.progress("step " + lock.name + " " + cases[i].scenario());
    Request asked = request;
    // A large search leaves half of the time to those that come after it.
    if (i + 1 < cases.size()) asked.until = now + (request.until - now) / 2;
    std::optional<Result> failure = trials.failure(cases[i], asked.until);
    results.push_back(failure ? std::move(*failure) : step::result_of(cases[i], asked));
    const Result& last = results.back();
    if (last.verdict == Verdict::kFail && request.stop_at_first_finding) return results;
    // What one small program runs into, the larger ones do too.
    const bool only_here = cases[i].program.signals > 0 || failure;
    const bool undecided =
        last.verdict == Verdict::kInconclusive || last.verdict == Verdict::kSkipped;
    if (undecided && last.executions < 1000 && !only_here) return results;
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
  const StepCase one = step::from_replay(lock, replay, request.work_directory, outcome.error);
  if (!outcome.error.empty()) return outcome;
  outcome.of = 2;
  const bool alone = replay.rule == "LV-2" && path.empty();  // See plain_trial.h.
  step::Again again;
  for (std::uint64_t i = 0; i < outcome.of; ++i) {
    again =
        alone ? again_alone(one, request) : step::run_again(one, replay.rule, path, request.until);
    outcome.failed += again.end == step::Again::End::kBroken ? 1 : 0;
  }
  outcome.result = step::base_result(one);
  outcome.result.scenario = replay.scenario;
  outcome.result.rule = replay.rule;
  outcome.result.executions = outcome.of;
  if (outcome.failed == 0) judge_unbroken(again, outcome.result);
  if (outcome.failed > 0) {
    outcome.result.verdict = Verdict::kFail;
    Finding finding;
    finding.summary = "rule " + replay.rule + " broke again";
    finding.program = to_text(replay.program);
    finding.schedule = replay.schedule;
    if (!alone) {
      World world(lock, replay.program, one.options);
      finding.history = step::moments(world, path);
    }
    finding.failed = outcome.failed;
    finding.of = outcome.of;
    finding.replay_json = std::string(replay_json);
    outcome.result.finding = std::move(finding);
  }
  return outcome;
}

}  // namespace hobbs
