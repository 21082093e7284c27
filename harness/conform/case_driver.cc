#include "harness/conform/case_driver.h"

#include <algorithm>
#include <utility>

#include "reports/replay_case.h"

namespace hobbs {
namespace {

constexpr std::uint64_t kReplayRuns = 5;

/// What is said twice in a replay file must be said alike; empty, or one sentence.
std::string contradiction(const ReplayCase& replay, const std::vector<ConformanceCase>& cases) {
  if (cases.size() != 1) return "the option 'case' of a replay is one case";
  const ConformanceCase& one = cases.front();
  if (one.lock != replay.lock || one.id != replay.rule) {
    return "lock and rule are '" + replay.lock + "' and '" + replay.rule + "', but its case is '" +
           one.id + "' of '" + one.lock + "'";
  }
  const auto& workers = replay.program.workers;
  if (std::any_of(workers.begin(), workers.end(),
                  [](const auto& steps) { return !steps.empty(); })) {
    return "the calls of a conformance replay are those of the option 'case', not of 'program'";
  }
  return "";
}

class CaseDriver : public Driver {
 public:
  CaseDriver(std::vector<ConformanceCase> cases, CaseOptions options)
      : cases_(std::move(cases)), options_(std::move(options)) {}

  std::string_view name() const override { return "conform"; }
  std::string unfit(const LockSpec&) const override { return ""; }

  std::vector<ScenarioInfo> scenarios(const LockSpec&) const override {
    std::string ids;
    for (const ConformanceCase& one : cases_) ids += (ids.empty() ? "" : ",") + one.id;
    return {{"cases", ids, "calls in a given order, and what each must answer"}};
  }

  std::vector<Result> run(const LockSpec&, const Request& request) override {
    return run_cases(cases_, options_for(request)).results;
  }

  ReplayOutcome replay(const LockSpec&, std::string_view replay_json,
                       const Request& request) override {
    ReplayOutcome outcome;
    const ReplayCase replay = parse_replay(replay_json).replay;
    const auto text = replay.options.find("case");
    const auto agent = replay.options.find("agent");
    if (text == replay.options.end() || agent == replay.options.end()) {
      outcome.error = "a conform replay needs the options 'agent' and 'case'";
      return outcome;
    }
    const CaseFile file = parse_cases(text->second);
    CaseOptions options = options_for(request);
    options.agent = agent->second;
    options.confirmations = 0;
    outcome.error = file.error.empty() ? contradiction(replay, file.cases) : file.error;
    for (std::uint64_t i = 0; outcome.error.empty() && i < kReplayRuns; ++i) {
      CaseResults run = run_cases(file.cases, options);
      outcome.error = run.error;
      if (run.results.empty()) continue;
      ++outcome.of;
      const bool failed = run.results.front().verdict == Verdict::kFail;
      if (failed || outcome.failed == 0) outcome.result = std::move(run.results.front());
      if (failed) ++outcome.failed;
    }
    return outcome;
  }

 private:
  CaseOptions options_for(const Request& request) const {
    CaseOptions options = options_;
    options.rules = request.rules;
    options.seed = request.seed;
    options.until = request.until;
    options.work_directory = request.work_directory;
    options.progress = request.progress;
    options.found = request.found;
    return options;
  }

  std::vector<ConformanceCase> cases_;
  CaseOptions options_;
};

}  // namespace

std::unique_ptr<Driver> case_driver(std::vector<ConformanceCase> cases, CaseOptions options) {
  return std::make_unique<CaseDriver>(std::move(cases), std::move(options));
}

LockSpec agent_subject(const std::string& agent) {
  LockSpec subject;
  subject.name = "agent " + agent;
  return subject;
}

}  // namespace hobbs
