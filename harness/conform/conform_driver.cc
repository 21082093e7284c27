#include "harness/conform/conform_driver.h"

#include <utility>

#include "harness/conform/agent_command.h"
#include "harness/conform/hunt_calls.h"
#include "reports/replay_case.h"

namespace hobbs {
namespace {

constexpr std::uint64_t kReplayRuns = 5;
// Locks in memory may wait by spinning.
constexpr std::int64_t kSpinNs = 1'500'000'000;

class ConformDriver : public Driver {
 public:
  explicit ConformDriver(ConformOptions options) : options_(std::move(options)) {}

  std::string_view name() const override { return "conform"; }

  std::string unfit(const LockSpec& spec) const override {
    const AgentLock lock = agent_lock(spec);
    if (!lock.calls.empty()) return "";
    return "no agent serves a lock of that name";
  }

  std::vector<ScenarioInfo> scenarios(const LockSpec& spec) const override {
    return {{"calls", rules_of_calls(agent_lock(spec)),
             "calls by chance, in a given order, by processes and threads behind agents"}};
  }

  std::vector<Result> run(const LockSpec& spec, const Request& request) override {
    const AgentLock lock = agent_lock(spec);
    Canary canary;
    CallHunt hunt;
    if (const std::string error = prepare(hunt, lock, options_.agent, canary, request);
        !error.empty()) {
      Result result;
      result.lock = spec.name;
      result.driver = name();
      result.scenario = "calls";
      result.rule = "*";
      result.verdict = Verdict::kSkipped;
      result.reason = error;
      return {result};
    }
    return hunt_calls(hunt);
  }

  ReplayOutcome replay(const LockSpec& spec, std::string_view replay_json,
                       const Request& request) override {
    ReplayOutcome outcome;
    const ReplayCase replay = parse_replay(replay_json).replay;
    const auto text = replay.options.find("calls");
    if (text == replay.options.end()) {
      outcome.error = "a conform replay needs the option 'calls'";
      return outcome;
    }
    const MovesParse parse = parse_moves(text->second);
    if (!parse.error.empty()) {
      outcome.error = "the option 'calls', " + parse.error;
      return outcome;
    }
    const auto agent = replay.options.find("agent");
    const AgentLock lock = agent_lock(spec);
    Canary canary;
    CallHunt hunt;
    outcome.error =
        prepare(hunt, lock, agent == replay.options.end() ? options_.agent : agent->second, canary,
                request);
    if (!outcome.error.empty()) return outcome;
    const CallRepeats repeats = repeat_calls(parse.moves, hunt.setting, kReplayRuns);
    outcome.failed = repeats.failed;
    outcome.of = repeats.of;
    outcome.result = result_of_calls(hunt, replay.topology, repeats);
    return outcome;
  }

 private:
  /// The catalogue's own, if it can be called here; else the seed's lock of that name.
  static AgentLock agent_lock(const LockSpec& spec) {
    if (spec.real.available()) return catalog_agent_lock(spec);
    for (const AgentLock& lock : seed_agent_locks()) {
      if (lock.name == spec.name) return lock;
    }
    return {};
  }

  /// Empty, or why it cannot be run.
  std::string prepare(CallHunt& hunt, const AgentLock& lock, const std::string& agent,
                      const Canary& canary, const Request& request) const {
    const AgentCommand command = find_agent(agent, options_.cpp_agent);
    hunt.setting.lock = &lock;
    hunt.setting.agent = command.name;
    hunt.setting.command = command.words;
    hunt.setting.parent_directory = request.work_directory;
    hunt.setting.canary = &canary;
    if (lock.tells_outcomes) hunt.setting.patience.spin_ns = kSpinNs;
    hunt.agent = agent;
    hunt.seed = request.seed;
    hunt.until = request.until;
    hunt.stop_at_first_finding = request.stop_at_first_finding;
    hunt.progress = request.progress;
    hunt.found = request.found;
    return command.error;
  }

  ConformOptions options_;
};

}  // namespace

std::unique_ptr<Driver> conform_driver(ConformOptions options) {
  return std::make_unique<ConformDriver>(std::move(options));
}

Catalog agent_catalog() {
  Catalog catalog;
  for (const AgentLock& lock : seed_agent_locks()) {
    LockSpec spec;
    spec.name = lock.name;
    spec.claims = lock.claims;
    spec.home = lock.home;
    catalog.push_back(std::move(spec));
  }
  return catalog;
}

}  // namespace hobbs
