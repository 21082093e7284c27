#include "harness/foreign/foreign_driver.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "harness/conform/agent_command.h"
#include "harness/foreign/search.h"
#include "harness/glob.h"
#include "reports/replay_case.h"

namespace hobbs {
namespace {

using foreign::NamedProgram;
using foreign::SearchReport;
using foreign::StageSetting;

constexpr int kPreemptions = 2;  // Unless another number is asked for.
constexpr std::uint64_t kReplays = 2;

AgentLock agent_lock(const LockSpec& spec) {
  if (spec.real.available()) return catalog_agent_lock(spec);
  for (const AgentLock& lock : seed_agent_locks()) {
    if (lock.name == spec.name) return lock;
  }
  return {};
}

std::string scenario_of(const NamedProgram& program) { return "traced/" + program.name; }

class ForeignDriver : public Driver {
 public:
  explicit ForeignDriver(std::string agent) : agent_(std::move(agent)) {}

  std::string_view name() const override { return "step"; }

  std::string unfit(const LockSpec& spec) const override {
    const std::string why = foreign::unfit_for_processes(agent_lock(spec));
    return why.empty() ? why_not_traceable() : why;
  }

  std::vector<ScenarioInfo> scenarios(const LockSpec& spec) const override {
    std::vector<ScenarioInfo> list;
    for (const NamedProgram& one : foreign::programs_for(agent_lock(spec), 0, 0, 0)) {
      list.push_back({scenario_of(one), one.rules,
                      "traced processes of the agent, held before each system call and each access "
                      "to shared memory that others can notice: " +
                          to_text(one.program)});
    }
    return list;
  }

  std::vector<Result> run(const LockSpec& spec, const Request& request) override {
    const AgentLock lock = agent_lock(spec);
    const Canary canary;
    StageSetting setting;
    const std::string error = prepare(setting, lock, agent_, canary, request);
    if (!error.empty()) return {plain_result(lock, "traced", "*", Verdict::kSkipped, error)};
    const std::vector<NamedProgram> programs = chosen(lock, request);
    if (programs.empty()) {
      return {plain_result(lock, "traced", "*", Verdict::kSkipped, why_nothing(lock, request))};
    }
    std::vector<Result> results;
    for (std::size_t i = 0; i < programs.size(); ++i) {
      const auto now = std::chrono::steady_clock::now();
      foreign::SearchOptions options;
      options.preemptions = request.preemptions >= 0 ? request.preemptions : kPreemptions;
      // A large search leaves half of the time to those that come after it.
      const bool last = i + 1 == programs.size();
      options.until = last ? request.until : now + (request.until - now) / 2;
      options.progress = [&](const std::string& words) {
        request.progress("step " + lock.name + " " + scenario_of(programs[i]) + ", " + words);
      };
      const SearchReport report = search(setting, programs[i], options);
      results.push_back(result_of(setting, programs[i], report, request));
      results.back().duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                       std::chrono::steady_clock::now() - now)
                                       .count();
      request.found(results.back());
      const Verdict verdict = results.back().verdict;
      if (verdict == Verdict::kSkipped) return {results.back()};
      if (verdict == Verdict::kFail && request.stop_at_first_finding) break;
    }
    return results;
  }

  ReplayOutcome replay(const LockSpec& spec, std::string_view replay_json,
                       const Request& request) override {
    ReplayOutcome outcome;
    const ReplayParse parsed = parse_replay(replay_json);
    const ReplayCase& replay = parsed.replay;
    const explore::ScheduleParse schedule = explore::parse_schedule(replay.schedule);
    const AgentLock lock = agent_lock(spec);
    const auto agent = replay.options.find("agent");
    const Canary canary;
    StageSetting setting;
    outcome.error = !parsed.error.empty()     ? parsed.error
                    : !schedule.error.empty() ? schedule.error
                    : agent == replay.options.end()
                        ? "a replay of a traced agent needs the option 'agent'"
                        : foreign::unfit_for_processes(lock);
    if (outcome.error.empty()) outcome.error = why_not_traceable();
    if (outcome.error.empty()) {
      outcome.error = prepare(setting, lock, agent->second, canary, request);
    }
    if (outcome.error.empty()) outcome.error = why_not_playable(lock, replay.program);
    if (!outcome.error.empty()) return outcome;
    outcome.result = plain_result(lock, replay.scenario, replay.rule, Verdict::kPass, "");
    for (std::uint64_t i = 0; i < kReplays; ++i) {
      const foreign::Replayed again =
          foreign::replay(setting, replay.program, schedule.schedule, true);
      ++outcome.of;
      if (!again.undecided.empty()) {
        outcome.result.reason = again.undecided;
        outcome.result.verdict = Verdict::kInconclusive;
      }
      if (!again.breakage) continue;
      if (again.breakage->rule != replay.rule) {
        if (outcome.failed != 0) continue;
        outcome.result.reason = "it breaks " + again.breakage->rule + " instead of " + replay.rule +
                                ": " + again.breakage->summary;
        outcome.result.verdict = Verdict::kInconclusive;
        continue;
      }
      ++outcome.failed;
      outcome.result.reason.clear();
      outcome.result.verdict = Verdict::kFail;
      outcome.result.finding =
          finding_of(replay.program, schedule.schedule, *again.breakage, again.story);
    }
    return outcome;
  }

 private:
  static Result plain_result(const AgentLock& lock, std::string scenario, std::string rule,
                             Verdict verdict, std::string reason) {
    Result result;
    result.lock = lock.name;
    result.scenario = std::move(scenario);
    result.driver = "step";
    result.topology = "fork";
    result.rule = std::move(rule);
    result.verdict = verdict;
    result.reason = std::move(reason);
    return result;
  }

  static std::string prepare(StageSetting& setting, const AgentLock& lock, const std::string& agent,
                             const Canary& canary, const Request& request) {
    const AgentCommand command = find_agent(agent);
    setting.lock = &lock;
    setting.command = command.words;
    setting.parent_directory = request.work_directory;
    setting.canary = &canary;
    return command.error;
  }

  static std::vector<NamedProgram> chosen(const AgentLock& lock, const Request& request) {
    std::vector<NamedProgram> programs =
        foreign::programs_for(lock, request.workers, request.acquisitions, request.kills);
    std::erase_if(programs, [&](const NamedProgram& one) {
      return !glob_match(request.scenarios, scenario_of(one)) ||
             !glob_match_any(request.rules, one.rules);
    });
    return programs;
  }

  static std::string why_nothing(const AgentLock& lock, const Request& request) {
    if (request.kills > 0 && lock.claims.crash == CrashBehaviour::kStuck) {
      return "the lock does not claim to survive a death";
    }
    return "no program of that size or name";
  }

  /// A person may have edited it.
  static std::string why_not_playable(const AgentLock& lock, const Program& program) {
    if (program.workers.empty() || program.workers.size() > foreign::kWorkersMax) {
      return "the program needs one to eight workers";
    }
    for (const auto& steps : program.workers) {
      int open = 0;
      for (const Step& step : steps) {
        open += step.verb == Verb::kRelease ? -1 : 1;
        const bool known =
            step.verb == Verb::kAcquire || step.verb == Verb::kTry || step.verb == Verb::kRelease;
        const Mode mode = step.verb == Verb::kRelease ? Mode::kExclusive : step.mode;
        if (!known || open < 0 || lock.find(step.verb, mode) == nullptr) {
          return "the program has a step that the agent's lock does not offer";
        }
      }
    }
    for (const Fault& fault : program.faults) {
      if (fault.kind != Fault::Kind::kKillProcess || fault.worker >= program.workers.size()) {
        return "the only fault is kill=WORKER@POINT";
      }
    }
    return "";
  }

  static Finding finding_of(const Program& program, const explore::Schedule& schedule,
                            const foreign::Breakage& breakage, std::vector<Moment> story) {
    Finding finding;
    finding.summary = breakage.summary;
    finding.program = to_text(program);
    finding.schedule = to_text(schedule);
    finding.history = std::move(story);
    if (!finding.history.empty()) finding.history.back().evidence = true;
    finding.evidence = breakage.evidence;
    finding.evidence.push_back(
        "processes of the agent, traced on this kernel: each line is what a worker did next, while "
        "all others were held or asleep");
    return finding;
  }

  Result result_of(const StageSetting& setting, const NamedProgram& program,
                   const SearchReport& report, const Request& request) const {
    using End = SearchReport::End;
    Result result = plain_result(*setting.lock, scenario_of(program), program.rules,
                                 Verdict::kInconclusive, report.done);
    result.executions = report.executions;
    switch (report.end) {
      case End::kComplete:
        if (report.points == 0) {
          result.reason = "nothing that the calls did could be seen by others: " + report.done;
        } else {
          result.verdict = Verdict::kPass;
        }
        break;
      case End::kLimit: result.reason = "the budget ended: " + report.done; break;
      case End::kUndecided: result.reason = report.reason + "; " + report.done; break;
      case End::kNoStage:
        result.verdict = report.no_stage->verdict;
        result.reason = report.no_stage->reason;
        break;
      case End::kFound: add_finding(setting, *report.found, request, result); break;
    }
    return result;
  }

  void add_finding(const StageSetting& setting, const foreign::Found& found, const Request& request,
                   Result& result) const {
    ReplayCase replay;
    replay.lock = setting.lock->name;
    replay.claims = setting.lock->claims;
    replay.driver = "step";
    replay.scenario = result.scenario;
    replay.rule = found.breakage.rule;
    replay.program = found.program;
    replay.topology = result.topology;
    replay.schedule = to_text(found.schedule);
    replay.seed = request.seed;
    replay.options = {{"agent", agent_}};
    result.verdict = Verdict::kFail;
    result.rule = found.breakage.rule;
    result.reason.clear();
    Finding finding = finding_of(found.program, found.schedule, found.breakage, found.story);
    finding.evidence.push_back(found.preemptions == 0
                                   ? "nobody had to be held in the middle of a call"
                                   : "found with " + std::to_string(found.preemptions) +
                                         (found.preemptions == 1 ? " preemption" : " preemptions") +
                                         ", and not with fewer");
    finding.failed = found.again;
    finding.of = found.of;
    finding.replay_json = to_json(replay);
    result.finding = std::move(finding);
  }

  const std::string agent_;
};

/// In a child: seizes a child of its own, as is done to agents.
int try_to_trace() {
  const pid_t pid = ::fork();
  if (pid < 0) return errno;
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) ::pause();
  }
  const int why = ::ptrace(PTRACE_SEIZE, pid, nullptr, PTRACE_O_EXITKILL) == 0 ? 0 : errno;
  ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, __WALL);
  return why;
}

}  // namespace

std::unique_ptr<Driver> foreign_driver(std::string command) {
  return std::make_unique<ForeignDriver>(std::move(command));
}

std::string why_not_traceable() {
#if !defined(__x86_64__)
  return "only x86-64 processes can be traced";
#endif
  static const std::string sentence = []() -> std::string {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("TracerPid:") && line.find_first_of("123456789") != std::string::npos) {
        return "hobbs is being traced itself, and two tracers cannot hold one process: run it "
               "without strace or a debugger";
      }
    }
    const int why = try_to_trace();
    if (why == 0) return "";
    return std::string("no permission to trace (") + std::strerror(why) +
           "): kernel.yama.ptrace_scope=3 or a seccomp filter forbids it; in a container allow "
           "SYS_PTRACE";
  }();
  return sentence;
}

}  // namespace hobbs
