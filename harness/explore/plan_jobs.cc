// What a plan is over: the programs that a request asks for, each under each memory model.
#include <algorithm>
#include <chrono>

#include "harness/explore/plan.h"
#include "harness/glob.h"
#include "scenarios/suites/drawn_programs.h"
#include "scenarios/suites/small_programs.h"

namespace hobbs::explore {
namespace {

constexpr std::chrono::milliseconds kAlone{20};  // To see whether a worker waits for itself.

}  // namespace

/// Why what was asked for by name cannot be run as it was named; empty if it can.
std::string Plan::refusal() const {
  if (request_.kills == 0) return "";
  if (lock_.claims.crash == CrashBehaviour::kStuck) {
    return "the lock promises nothing for the case that a worker dies";
  }
  if (is_bounded()) {
    return "a bounded search kills nobody";
  }
  const bool named = request_.workers != 0 || request_.acquisitions != 0;
  if (named && request_.kills > (request_.workers == 0 ? 2 : request_.workers)) {
    return "more deaths than workers";
  }
  return "";
}

void Plan::make_jobs() {
  outcome_.refused = refusal();
  if (!outcome_.refused.empty()) {
    coverage("named");
    return;
  }
  if (request_.workers != 0 || request_.acquisitions != 0) {
    ControlledProgram named;
    named.family = "named";
    named.topology = usual_topology(lock_);
    named.rules = "ME-1,ME-2,MM-1,LV-1,LV-2";
    named.program = plain_program(request_.workers == 0 ? 2 : request_.workers,
                                  std::max(1u, request_.acquisitions));
    for (std::uint32_t k = 0; k < request_.kills; ++k) {
      named.program.faults.push_back({Fault::Kind::kKillProcess, static_cast<std::uint8_t>(k), 1});
    }
    named.kills = request_.kills > 0;
    if (named.kills) named.rules += ",CR-1,CR-3,CR-5,CR-6,CR-7,CR-8";
    outcome_.refused = explorer(MemoryModel::kSc, named.topology).load(named.program);
    if (!outcome_.refused.empty()) {
      coverage(named.family).rules = named.rules;
      return;
    }
    programs_.push_back(std::move(named));
  } else {
    programs_ = controlled_programs(lock_);
  }
  if (request_.kills > 0) {
    std::erase_if(programs_, [](const ControlledProgram& program) { return !program.kills; });
  }
  std::erase_if(programs_, [this](const ControlledProgram& program) {
    return !glob_match(request_.scenarios, "controlled/" + program.family) ||
           !glob_match_any(request_.rules, program.rules) ||
           (program.relocks && !waits_for_itself(program));
  });
  for (const ControlledProgram& program : programs_) {
    Coverage& covered = coverage(program.family);
    covered.rules = program.rules;
    covered.exhaustive = request_.strategy == "exhaustive";
    ++covered.programs;
  }
  for (const MemoryModel model : models_) {
    for (const ControlledProgram& program : programs_) {
      Job& job = jobs_.emplace_back();
      job.program = &program;
      job.model = model;
      Coverage& covered = coverage(program.family);
      ++covered.pairs;
      // A search of what each read reads takes executions for one that differ in who came first.
      if (model == MemoryModel::kSc && glob_match_any("FA-*", program.rules)) {
        job.exhaustible = false;
        covered.not_exhausted = "who is passed by whom is judged by walks alone";
      }
    }
  }
  add_walked_programs();
  if (programs_.empty()) outcome_.refused = why_no_program();
  if (!outcome_.refused.empty()) coverage("named");
}

/// If it is for what was asked for besides scenarios that none of their programs can be run: why.
std::string Plan::why_no_program() const {
  if (!small_.empty() || draws_) return "";
  if (request_.workers != 0 || request_.acquisitions != 0) {
    return "the program that --workers and --acquisitions name is the scenario controlled/named, "
           "which --scenarios or --rules leaves out";
  }
  const bool walked = glob_match(request_.scenarios, std::string("controlled/") + kEnumerated) ||
                      glob_match(request_.scenarios, std::string("controlled/") + kDrawn);
  if (walked && (is_bounded() || request_.strategy == "exhaustive")) {
    return "the programs of controlled/enumerated and controlled/drawn are for strategies that "
           "draw; no search that has an end is made of them";
  }
  if (walked && request_.kills != 0) return "nobody dies in the programs of these scenarios";
  return "";
}

/// All small programs, and drawn ones, unless other ones were asked for.
void Plan::add_walked_programs() {
  const bool named = request_.workers != 0 || request_.acquisitions != 0 || request_.kills != 0;
  const bool ends = is_bounded() || request_.strategy == "exhaustive";
  if (named || ends || !glob_match_any(request_.rules, small_program_rules(lock_))) return;
  const auto wanted = [this](const char* family) {
    return glob_match(request_.scenarios, std::string("controlled/") + family);
  };
  if (wanted(kEnumerated)) small_ = small_programs(lock_);
  if (!small_.empty()) {
    Coverage& covered = coverage(kEnumerated);
    covered.rules = small_program_rules(lock_);
    covered.programs = static_cast<std::uint32_t>(small_.size());
    covered.pairs = covered.programs * static_cast<std::uint32_t>(models_.size());
  }
  draws_ = wanted(kDrawn) && !drawn_program(lock_, 0).workers.empty();
  if (draws_) coverage(kDrawn).rules = small_program_rules(lock_);
}

/// Whether the first worker alone sleeps for ever, in every execution in which nothing wakes it.
bool Plan::waits_for_itself(const ControlledProgram& program) {
  Program alone = program.program;
  alone.workers.resize(1);
  Explorer& explorer = this->explorer(MemoryModel::kSc, program.topology);
  if (!explorer.load(alone).empty()) return false;
  const graph::Exhausted all = graph::exhaust(lock_, alone, MemoryModel::kSc, program.topology,
                                              explorer, Clock::now() + kAlone);
  return all.complete && all.sleeps && !all.caught;
}

}  // namespace hobbs::explore
