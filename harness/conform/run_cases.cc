#include "harness/conform/run_cases.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "harness/conform/agent_command.h"
#include "harness/conform/canary.h"
#include "harness/conform/case_runner.h"
#include "harness/glob.h"
#include "reports/replay_case.h"
#include "scenarios/cases/differences.h"

namespace hobbs {
namespace {

/// How the processes of a case come about, in the words of topologies.
std::string topology_of(const ConformanceCase& conformance_case) {
  bool forks = false;
  bool spawns = false;
  for (const CaseStep& step : conformance_case.steps) {
    forks = forks || step.kind == CaseStep::Kind::kFork || step.kind == CaseStep::Kind::kRawFork;
    spawns = spawns || step.kind == CaseStep::Kind::kSpawn;
  }
  return forks && spawns ? "mixed" : forks ? "fork" : spawns ? "spawn" : "threads";
}

std::string replay_of(const ConformanceCase& conformance_case, const CaseOptions& options) {
  ReplayCase replay;
  replay.lock = conformance_case.lock;
  replay.driver = "conform";
  replay.scenario = "cases";
  replay.rule = conformance_case.id;
  replay.topology = topology_of(conformance_case);
  replay.seed = options.seed;
  replay.options = {{"agent", options.agent}, {"case", to_text(conformance_case)}};
  return to_json(replay);
}

/// What a case came to, and how often.
struct Repeated : CaseOutcome {
  std::uint64_t failed = 0;
  std::uint64_t runs = 1;
};

/// Runs a case that failed again. Somebody may have killed an agent, or the answer be one of luck.
void confirm(const ConformanceCase& conformance_case, const CaseSetting& setting,
             const CaseOptions& options, Repeated& outcome) {
  for (std::uint64_t i = 0; i < options.confirmations; ++i) {
    if (std::chrono::steady_clock::now() >= options.until) break;
    ++outcome.runs;
    outcome.failed += run_case(conformance_case, setting).verdict == Verdict::kFail ? 1 : 0;
  }
  if (outcome.failed > 1 || options.confirmations == 0) return;
  outcome.verdict = Verdict::kInconclusive;
  outcome.reason +=
      "; seen once, and not in " + std::to_string(outcome.runs - 1) + " more runs of the same case";
}

Finding finding_of(const ConformanceCase& conformance_case, const Repeated& outcome,
                   const CaseOptions& options) {
  Finding finding;
  finding.summary = conformance_case.title + ": ";
  if (outcome.line > 0) {
    finding.summary += "at line " + std::to_string(outcome.line) + ", '" + outcome.step + "', ";
  }
  finding.summary += outcome.reason;
  finding.program = to_text(conformance_case);
  finding.history = outcome.moments;
  finding.evidence = outcome.evidence;
  finding.failed = outcome.failed;
  finding.of = outcome.runs;
  finding.replay_json = replay_of(conformance_case, options);
  return finding;
}

Result result_of(const ConformanceCase& conformance_case, const Repeated& outcome,
                 const CaseOptions& options, const KnownDifference* difference) {
  Result result;
  result.lock = conformance_case.lock;
  result.scenario = "cases";
  result.driver = "conform";
  result.topology = topology_of(conformance_case);
  result.rule = conformance_case.id;
  result.verdict = outcome.verdict;
  result.executions = outcome.runs;
  result.duration_ms = outcome.duration_ms;
  const std::string at =
      outcome.line > 0 ? "line " + std::to_string(outcome.line) + ", '" + outcome.step + "': " : "";
  if (difference != nullptr) {
    result.verdict = Verdict::kSkipped;
    result.reason = "known difference: " + difference->sentence + " (" + at + outcome.reason + ")";
  } else if (outcome.verdict == Verdict::kFail) {
    result.finding = finding_of(conformance_case, outcome, options);
  } else if (outcome.verdict == Verdict::kSkipped) {
    result.reason = outcome.reason;  // Without the line: reports tell equal reasons once.
  } else if (outcome.verdict != Verdict::kPass) {
    result.reason = at + outcome.reason;
  }
  return result;
}

Result judge(const ConformanceCase& conformance_case, const CaseSetting& setting,
             const CaseOptions& options, const std::string& agent,
             const DifferenceTable& differences) {
  Repeated outcome;
  if (std::chrono::steady_clock::now() >= options.until) {
    outcome.verdict = Verdict::kInconclusive;
    outcome.reason = "the budget ended before this case";
  } else {
    static_cast<CaseOutcome&>(outcome) = run_case(conformance_case, setting);
  }
  const KnownDifference* difference = nullptr;
  if (outcome.answer) {
    difference =
        find_difference(differences, agent, conformance_case.id, outcome.step, *outcome.answer);
  }
  if (outcome.verdict == Verdict::kFail && difference == nullptr) {
    outcome.failed = 1;
    confirm(conformance_case, setting, options, outcome);
  }
  return result_of(conformance_case, outcome, options, difference);
}

}  // namespace

CaseResults run_cases(const std::vector<ConformanceCase>& cases, const CaseOptions& options) {
  CaseResults all;
  const AgentCommand agent = find_agent(options.agent, options.cpp_agent);
  const DifferenceTable differences = parse_differences(options.differences);
  all.error = !agent.error.empty() ? agent.error : differences.error;
  if (!all.error.empty()) return all;

  std::vector<const ConformanceCase*> chosen;
  for (const ConformanceCase& one : cases) {
    if (glob_match(options.locks, one.lock) && glob_match(options.rules, one.id)) {
      chosen.push_back(&one);
    }
  }
  all.results.resize(chosen.size());
  const Canary canary;
  const CaseSetting setting{agent.words, options.work_directory, &canary, options.patience};
  std::atomic<std::size_t> next{0};
  std::mutex telling;
  const auto work = [&] {
    for (std::size_t i; (i = next.fetch_add(1)) < chosen.size();) {
      all.results[i] = judge(*chosen[i], setting, options, agent.name, differences);
      const std::lock_guard guard(telling);
      options.progress(chosen[i]->id + " " + std::string(to_string(all.results[i].verdict)));
      options.found(all.results[i]);
    }
  };
  const unsigned jobs = options.jobs != 0 ? options.jobs : std::thread::hardware_concurrency();
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < std::max(1U, std::min<unsigned>(jobs, chosen.size())); ++i) {
    workers.emplace_back(work);
  }
  for (std::thread& worker : workers) worker.join();
  return all;
}

}  // namespace hobbs
