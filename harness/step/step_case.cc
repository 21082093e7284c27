#include "harness/step/step_case.h"

#include <algorithm>
#include <string_view>

namespace hobbs::step {
namespace {

constexpr std::string_view kRules = "ME-1,ME-3,ME-4,LV-1,LV-2,TR-2,TO-1";
constexpr std::string_view kSharedRules = "ME-1,RW-1,ME-3,ME-4,LV-1,LV-2,TR-2,TO-1";
constexpr std::string_view kCrashRules = "ME-1,CR-1,CR-5,CR-6";

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
  if (replay.program.workers.size() > kMaxStepWorkers) {
    return "step runs at most " + std::to_string(kMaxStepWorkers) + " workers";
  }
  if (!World::can_run(lock, replay.program)) {
    return "step runs at most " + std::to_string(kMaxStepsPerWorker) +
           " of lock, try, timed, unlock and conversions, where the lock has them";
  }
  return "";
}

}  // namespace

std::string memory_name(Memory memory) { return memory == Memory::kSequential ? "sc" : "tso"; }

std::string StepCase::scenario() const {
  return "binary/" + memory_name(options.memory) + "/" + program.name;
}

std::string StepCase::rules() const {
  if (program.kills > 0) return std::string(kCrashRules);
  return std::string(lock.real.has_shared() ? kSharedRules : kRules);
}

StepCase make_case(const LockSpec& lock, NamedProgram program, Memory memory, int preemptions,
                   const std::string& directory) {
  StepCase made{lock, std::move(program), {}};
  made.options.memory = memory;
  made.options.kills = made.program.kills;
  made.options.signals = made.program.signals;
  made.options.preemptions = preemptions;
  if (lock.home == Home::kPath) made.options.path = directory + "/step.lock";
  return made;
}

ReplayCase to_replay(const StepCase& one, const SearchReport& report) {
  ReplayCase replay;
  replay.lock = one.lock.name;
  replay.claims = one.lock.claims;
  replay.driver = "step";
  replay.scenario = one.scenario();
  replay.rule = report.rule;
  replay.program = one.program.program;
  replay.topology = "processes";
  replay.schedule = to_text(report.path);
  replay.options["memory"] = memory_name(one.options.memory);
  replay.options["kills"] = std::to_string(one.options.kills);
  replay.options["signals"] = std::to_string(one.options.signals);
  return replay;
}

StepCase from_replay(const LockSpec& lock, const ReplayCase& replay, const std::string& directory,
                     std::string& error) {
  Memory memory = Memory::kSequential;
  NamedProgram program;
  program.name = "replay";
  program.program = replay.program;
  error = read_options(lock, replay, memory, program);
  return make_case(lock, std::move(program), memory, -1, directory);
}

std::int64_t to_ns(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

Again run_again(const StepCase& one, const std::string& rule, const std::vector<Transition>& path,
                std::chrono::steady_clock::time_point until) {
  using End = Again::End;
  WorldOptions options = one.options;
  options.preemptions = -1;  // The schedule is given.
  World world(one.lock, one.program.program, options);
  State state = world.initial();
  std::vector<Transition> enabled;
  for (std::size_t i = 0; i < path.size(); ++i) {
    world.enabled(state, enabled);
    if (std::find(enabled.begin(), enabled.end(), path[i]) == enabled.end()) {
      return {End::kNotFollowed, ""};
    }
    const Incident incident = world.step(state, path[i]);
    if (incident.none()) continue;
    if (incident.kind == Incident::Kind::kUnknown) return {End::kUndecided, incident.summary};
    const bool same = incident.rule == rule && i + 1 == path.size();
    return {same ? End::kBroken : End::kOther, incident.rule};
  }
  // Nothing broke on the way: the finding is that the workers cannot finish from here.
  SearchLimits limits;
  limits.deadline_ns = to_ns(until);
  const SearchReport rest = search_from(world, state, limits);
  if (rest.end == SearchReport::End::kComplete) return {};
  if (rest.end != SearchReport::End::kViolation) return {End::kUndecided, rest.summary};
  const bool same = rest.rule == rule && rest.path.empty();
  return {same ? End::kBroken : End::kOther, rest.rule};
}

bool happens_again(const StepCase& one, const std::string& rule,
                   const std::vector<Transition>& path,
                   std::chrono::steady_clock::time_point until) {
  return run_again(one, rule, path, until).end == Again::End::kBroken;
}

}  // namespace hobbs::step
