// bench: from options to a plan, and from Google Benchmark's JSON to a report and an exit code.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "harness/bench/agent_bench.h"
#include "harness/bench/google.h"
#include "harness/bench/instructions.h"
#include "harness/bench/turns.h"
#include "harness/campaign.h"
#include "harness/commands.h"
#include "harness/exit_code.h"
#include "harness/glob.h"
#include "harness/janitor.h"
#include "harness/machine.h"
#include "harness/output.h"
#include "harness/progress.h"
#include "reports/bench_html.h"
#include "reports/bench_run.h"
#include "reports/bench_table.h"
#include "reports/replay_case.h"
#include "reports/store.h"

namespace hobbs {
namespace {

using bench::Workload;
using std::chrono::milliseconds;

constexpr milliseconds kBudgetMax{105'000};  // The default call takes less than two minutes.
constexpr milliseconds kBudgetFullMax{1'800'000};
constexpr milliseconds kBudgetPerCase{1'500};
constexpr const char* kNoFormat = "a benchmark's formats are text, json and html";

std::vector<Workload> choose_workloads(const Options& options) {
  const unsigned cores = usable_cores();
  const std::vector<Workload> all =
      options.full ? bench::full_workloads(cores) : bench::default_workloads(cores);
  std::vector<Workload> chosen;
  std::vector<std::string> names;
  for (const Workload& workload : all) {
    const std::string label = bench::label(workload);
    names.push_back(workload.name);
    if (glob_match(options.scenarios, workload.name) || glob_match(options.scenarios, label)) {
      chosen.push_back(workload);
    }
  }
  if (chosen.empty()) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    throw NothingToRun(fmt::format("no workload matches '{}'; there are: {}{}", options.scenarios,
                                   fmt::join(names, ", "),
                                   options.full ? "" : " (--full has more)"));
  }
  return chosen;
}

milliseconds default_budget(const bench::Plan& plan, bool full) {
  std::int64_t cases = 0;
  for (const bench::Subject& subject : plan.subjects) {
    for (const Workload& workload : plan.workloads) cases += subject.refusal(workload).empty();
  }
  return std::min(full ? kBudgetFullMax : kBudgetMax, kBudgetPerCase * cases);
}

/// Whose locks are measured beside this program's: as --agent says, or --locks by "python:...".
/// Where all locks are measured, other libraries' too, Python's are among them. Empty: nobody's.
std::string agent_of(const Options& options, const Catalog& catalog) {
  if (options.agent_named) return options.agent;
  for (const std::string& glob : split_commas(options.locks)) {
    if (glob.starts_with("python:")) return "python";
  }
  const bool peers =
      std::any_of(catalog.begin(), catalog.end(), [](const LockSpec& lock) { return lock.peer; });
  return peers && !options.locks_named ? "python" : "";
}

/// The agent; none if none is asked for. One that does not serve is a usage error if it was named.
std::unique_ptr<bench::AgentBench> start_agent(const Options& options, const Catalog& catalog,
                                               const std::string& directory) {
  const std::string name = agent_of(options, catalog);
  if (name.empty()) return nullptr;
  AgentCommand command = find_agent(name);
  const bool named = options.agent_named || options.locks_named;
  if (named && !command.error.empty()) throw UsageError(command.error);
  auto agent = std::make_unique<bench::AgentBench>(std::move(command), directory);
  if (const std::string why = agent->start(); named && !why.empty()) {
    throw UsageError(fmt::format("'{}' is no agent: {}", name, why));
  }
  return agent;
}

/// This program's locks and the agent's, which may be named with or without the agent's name.
std::vector<bench::Subject> choose_subjects(const Options& options, const Catalog& catalog,
                                            bench::AgentBench* agent) {
  std::vector<bench::Subject> chosen;
  std::vector<std::string> names;
  for (const LockSpec& lock : catalog) {
    names.push_back(lock.name);
    if (glob_match(options.locks, lock.name)) chosen.push_back(bench::subject_of(lock));
  }
  if (agent != nullptr) {
    for (bench::Subject& subject : agent->subjects()) {
      const std::string kind = subject.name.substr(subject.name.find(':') + 1);
      names.insert(names.end(), {subject.name, kind});
      if (!glob_match(options.locks, subject.name) && !glob_match(options.locks, kind)) continue;
      chosen.push_back(std::move(subject));
    }
  }
  if (names.empty()) throw NothingToRun("this program was given no locks");
  check_each("lock", options.locks, names);
  return chosen;
}

bench::Plan plan_of(const Options& options, const Catalog& catalog, bench::AgentBench* agent) {
  bench::Plan plan;
  plan.subjects = choose_subjects(options, catalog, agent);
  plan.workloads = choose_workloads(options);
  plan.repetitions =
      options.repetitions != 0 ? static_cast<int>(options.repetitions) : (options.full ? 5 : 3);
  plan.latency = !options.throughput_only;
  plan.budget = options.budget.value_or(default_budget(plan, options.full));
  plan.arguments = options.arguments;
  plan.context = machine_facts();
  plan.context.emplace_back("hobbs_version", kVersion);
  return plan;
}

std::string list_plan(const bench::Plan& plan) {
  std::string out;
  for (const Workload& workload : plan.workloads) {
    for (const bench::Subject& subject : plan.subjects) {
      const std::string why = subject.refusal(workload);
      out += fmt::format("{}/{}{}\n", subject.name, bench::label(workload),
                         why.empty() ? "" : "  refused: " + why);
    }
  }
  return out;
}

int exit_code_of(const BenchRun& run) {
  bool measured = false;
  bool open = false;
  for (const BenchCase& one : run.cases) {
    if (one.state == BenchState::kBroken) return kExitFinding;
    measured |= one.state == BenchState::kMeasured;
    open |= one.state == BenchState::kFailed || one.state == BenchState::kNotRun;
  }
  return open ? kExitInconclusive : measured ? kExitPass : kExitNothingRan;
}

void deliver(const Options& options, const std::string& text) {
  const std::string error =
      options.output.empty() ? write_stdout(text) : write_file(options.output, text);
  if (!error.empty()) throw std::runtime_error(error);
}

std::string run_with_progress(bench::Plan& plan, bool take_turns, bench::AgentBench* agent) {
  SignalHold hold;
  if (agent != nullptr && plan.latency) {
    for (auto& fact : agent->overhead()) plan.context.push_back(std::move(fact));
  }
  plan.interleaved = !take_turns;  // Else the two programs would measure different things in turn.
  plan.stop = [&hold, take_turns] {
    const std::string why = take_turns ? bench::await_turn(STDIN_FILENO) : "";
    return why.empty() ? hold.interruption() : why;
  };
  Progress progress;
  std::size_t begun = 0;
  plan.progress = [&](const std::string& line) {
    progress.update(fmt::format("bench {}: {}", ++begun, line));
  };
  std::string json = bench::run_plan(plan);
  progress.clear();
  return json;
}

int fast_path(const Options& options, const Catalog& catalog) {
  const Catalog locks = choose_locks(catalog, options.locks, true);
  if (locks.size() != 1) throw UsageError("--fast-path takes one lock");
  const Janitor janitor;
  bench::run_fast_path(locks.front(), janitor.directory() + "/lock", options.fast_path);
  return kExitPass;
}

}  // namespace

std::string render_bench(const Options& options, const std::string& json) {
  const BenchParse parsed = parse_bench(json);
  if (!parsed.error.empty()) throw std::runtime_error(parsed.error);
  if (options.format == "json") return json;
  if (options.format == "text") {
    return render_bench_table(parsed.run,
                              {.baseline = options.baseline, .verbose = options.verbose});
  }
  if (options.format == "html") return render_bench_html(parsed.run, options.baseline);
  throw UsageError(kNoFormat);
}

int bench_command(const Options& options, const Catalog& catalog) {
  if (options.format != "text" && options.format != "json" && options.format != "html") {
    throw UsageError(kNoFormat);
  }
  if (options.fast_path != 0) return fast_path(options, catalog);
  if (!options.save_baseline.empty() && options.store.empty()) {
    throw UsageError("--save-baseline names the run in --store FILE");
  }
  if (!options.output.empty()) {
    if (const std::string error = check_writable(options.output); !error.empty()) {
      throw UsageError(error);
    }
  }
  check_store(options.store);
  // What a killed call leaves behind (files, named objects) goes with the janitor.
  const Janitor janitor;
  const std::unique_ptr<bench::AgentBench> agent =
      start_agent(options, catalog, janitor.directory());
  bench::Plan plan = plan_of(options, catalog, agent.get());
  plan.directory = janitor.directory();
  if (!options.baseline.empty() &&
      std::none_of(plan.subjects.begin(), plan.subjects.end(), [&](const bench::Subject& subject) {
        return subject.name == options.baseline;
      })) {
    throw UsageError("--baseline '" + options.baseline +
                     "' is none of the locks that are measured");
  }
  if (options.list) {
    deliver(options, list_plan(plan));
    return kExitPass;
  }
  std::string json;
  try {
    json = run_with_progress(plan, options.take_turns, agent.get());
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
  const BenchParse parsed = parse_bench(json);
  if (!parsed.error.empty()) throw std::runtime_error(parsed.error);
  deliver(options, render_bench(options, json));
  if (!options.store.empty()) {
    Store store(options.store);
    const std::int64_t id = store.save(parsed.run);
    if (!options.save_baseline.empty()) store.name_baseline(options.save_baseline, id);
  }
  return exit_code_of(parsed.run);
}

}  // namespace hobbs
