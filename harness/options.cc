#include "harness/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>
#include <utility>

#include "harness/exit_code.h"
#include "harness/explore/strategies.h"
#include "harness/glob.h"
#include "reports/render/reporter.h"
#include "reports/replay_case.h"

namespace hobbs {
namespace {

constexpr const char* kFooter = R"(
Exit: 0 all pass, 1 a finding or a regression, 3 inconclusive and no finding,
      4 nothing ran, 64 usage, 70 internal error or a report that could not be written.)";

struct CommandWords {
  const char* name;
  const char* about;
};
constexpr CommandWords kRunners[] = {
    {"verify", "Run every scenario that applies to what each lock claims, on every driver"},
    {"conform", "Check results, blocking and errors of single calls against the specification"},
    {"stress", "Run real processes and threads freely on all cores (the free driver)"},
    {"explore", "Explore interleavings of small programs under full control"},
    {"step", "Explore the machine code of locks on modelled processors"},
    {"crash", "Run the scenarios in which workers die"},
    {"bench", "Measure locks under contention"},
};

std::string format_names() {
  std::string names;
  for (const Reporter& reporter : reporters()) {
    names += (names.empty() ? "" : "|") + std::string(reporter.name);
  }
  return names;
}

void add_selection(CLI::App& app, Options& o) {
  app.add_option("--locks", o.locks, "Which locks: names or globs, separated by commas")
      ->type_name("GLOB[,GLOB]");
  app.add_option("--scenarios", o.scenarios, "Which scenarios")->type_name("GLOB");
  app.add_option("--rules", o.rules, "Which rules (ME-1, LV-*, ...)")->type_name("GLOB");
  app.add_option("--drivers", o.drivers, "Which drivers: conform, free, explore, step")
      ->type_name("GLOB[,GLOB]");
}

CLI::Validator one_of_formats() {
  return CLI::Validator(
      [](std::string& name) {
        return find_reporter(name) != nullptr
                   ? std::string()
                   : "there is no format '" + name + "'; choose from " + format_names();
      },
      format_names());
}

void add_output(CLI::App& app, Options& o) {
  app.add_option("--format", o.format, "How the report is written")->transform(one_of_formats());
  app.add_option("--output", o.output, "Write the report to FILE instead of standard output")
      ->type_name("FILE");
  app.add_option("--color,--colour", o.colour, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_flag("-v,--verbose", o.verbose, "Tell every result, not only what needs attention");
}

void add_budget(CLI::App& app, std::string& budget) {
  app.add_option("--budget", budget, "Time for the whole call: 300ms, 30s, 2m, 1h")
      ->type_name("DURATION")
      ->check([](const std::string& text) {
        return parse_duration(text) ? std::string()
                                    : "'" + text + "' is not a duration such as 300ms, 30s, 2m, 1h";
      });
}

/// CLI11 takes -1 for the greatest number, and so what is too great.
std::string whole_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = error == std::errc() && end == text.data() + text.size();
  return good ? std::string() : "'" + text + "' is not a whole number from 0 to 2^64-1";
}

void add_running(CLI::App& app, Options& o, std::string& budget) {
  app.add_option("--seed", o.seed, "The first seed of all random choices")
      ->type_name("N")
      ->check(whole_number);
  app.add_option("--seeds", o.seeds, "How many seeds to run, from --seed on")
      ->type_name("N")
      ->check(CLI::Range(1u, 1'000'000u));
  add_budget(app, budget);
  app.add_option("--jobs", o.jobs, "How many drivers to run at once (default: all cores)")
      ->type_name("N")
      ->check(CLI::Range(1u, 1024u));
  app.add_option("--artifacts", o.artifacts,
                 "Where replay files go (default: $TEST_UNDECLARED_OUTPUTS_DIR or hobbs-out)")
      ->type_name("DIR");
  app.add_flag("--keep-going", o.keep_going, "Go on with a lock after its first finding");
  app.add_flag("--list", o.list, "List the scenarios that would run, and run nothing");
}

void add_search(CLI::App& app, Options& o) {
  app.add_option("--workers", o.workers, "Workers of each program")
      ->type_name("N")
      ->check(CLI::Range(1u, 64u));
  app.add_option("--acquisitions", o.acquisitions, "Acquisitions of each worker")
      ->type_name("N")
      ->check(CLI::Range(1u, 4096u));
  app.add_option("--kills", o.kills, "How many workers may die")
      ->type_name("N")
      ->check(CLI::Range(0u, 64u));
  app.add_option("--memory", o.memory, "Memory model: sc, tso or c11")
      ->check(CLI::IsMember({"sc", "tso", "c11"}));
  app.add_option("--preemptions", o.preemptions, "Preemption bound")
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000));
  const bool is_explore = app.get_name() == "explore";
  std::vector<std::string> strategies{"bounded", "exhaustive"};
  for (const explore::DrawnStrategy& drawn : explore::drawn_strategies()) {
    if (is_explore || !drawn.by_what_is_pending) strategies.emplace_back(drawn.name);
  }
  if (app.get_name() == "step") strategies.push_back("native");
  if (is_explore) {
    strategies.push_back("delay");
    app.add_option("--delays", o.delays, "Delay bound")
        ->type_name("N")
        ->check(CLI::Range(0, 1'000'000));
  }
  app.add_option("--strategy", o.strategy, "Search strategy")
      ->check(CLI::IsMember(std::move(strategies)));
}

void add_bench(CLI::App& app, Options& o) {
  app.add_flag("--full", o.full, "The whole sweep of workloads, not only the tour");
  app.add_option("--repetitions", o.repetitions, "How often to measure each case")
      ->type_name("N")
      ->check(CLI::Range(1u, 1000u));
  app.add_flag("--throughput-only", o.throughput_only, "No rounds with latency probes");
  app.add_flag("--take-turns", o.take_turns,
               "Ask on standard input, a socket, before each round: how `compare` runs it");
  app.add_option("--baseline", o.baseline, "The lock that ratios are against")->type_name("LOCK");
  app.add_option("--fast-path", o.fast_path,
                 "Only this many uncontended operations of one lock, for valgrind to count")
      ->type_name("N")
      ->check(whole_number);
  app.add_option("--save-baseline", o.save_baseline, "Name the run in the store for `compare`")
      ->type_name("NAME");
  app.add_option("arguments", o.arguments, "For Google Benchmark, after --");
}

void add_store(CLI::App& app, Options& o) {
  app.add_option("--store", o.store, "The SQLite file that keeps runs over time")
      ->type_name("FILE");
}

void add_compare(CLI::App& app, Options& o, std::string& budget) {
  app.add_option("arguments", o.arguments, "Two programs to run now, or two results of bench");
  app.add_option("--locks", o.locks, "Which locks")->type_name("GLOB[,GLOB]");
  app.add_option("--scenarios", o.scenarios, "Which workloads")->type_name("GLOB");
  app.add_option("--repetitions", o.repetitions, "Pairs in each of the two sessions (default 18)")
      ->type_name("N")
      ->check(CLI::Range(1u, 1000u));
  app.add_option("--threshold", o.threshold_percent, "The smallest change that matters, in %")
      ->type_name("PERCENT")
      ->check(CLI::Range(0.0, 1000.0));
  app.add_option("--against", o.against, "The baseline in the store to compare one result with")
      ->type_name("NAME");
  app.add_flag("--instructions", o.instructions,
               "Also count instructions of uncontended operations (needs valgrind)");
  add_store(app, o);
  add_budget(app, budget);
  add_output(app, o);
}

void add_runners(CLI::App& app, Options& o, std::string& budget) {
  for (const CommandWords& words : kRunners) {
    CLI::App* sub = app.add_subcommand(words.name, words.about);
    add_selection(*sub, o);
    add_running(*sub, o, budget);
    add_output(*sub, o);
    add_store(*sub, o);
    const std::string_view name = words.name;
    if (name == "explore" || name == "step" || name == "verify" || name == "crash") {
      add_search(*sub, o);
    }
    const char* const about_lock =
        name == "verify" ? "Verify the locks that this command serves as an agent, by conform alone"
        : name == "step" ? "Explore the locks that this command serves, its processes traced"
                         : "Refused, with the reason and what to run instead";
    sub->add_option("--lock", o.lock, about_lock)->type_name("exec:COMMAND");
    if (name == "conform") {
      sub->add_option("--cases", o.cases, "Run the conformance cases of FILE")->type_name("FILE");
      sub->add_flag("--random", o.random, "Run generated call sequences against the model");
    }
    if (name == "conform" || name == "bench") {
      sub->add_option("--agent", o.agent,
                      name == "bench" ? "Whose locks to measure beside this program's own"
                                      : "Whose locks: cpp, python or exec:COMMAND")
          ->type_name("cpp|python|exec:COMMAND");
    }
    if (name == "bench") add_bench(*sub, o);
  }
}

void add_others(CLI::App& app, Options& o, std::string& budget) {
  CLI::App* compare = app.add_subcommand("compare", "Compare two benchmark runs, for CI");
  add_compare(*compare, o, budget);
  CLI::App* report = app.add_subcommand("report", "Render a saved JSON result again");
  report->add_option("file", o.file, "The JSON that --format json wrote")->required();
  add_output(*report, o);
  CLI::App* replay = app.add_subcommand("replay", "Run exactly what a replay file says");
  replay->add_option("file", o.file, "The replay file")->required();
  replay->add_option("--budget", budget, "Time for the whole call")->type_name("DURATION");
  add_output(*replay, o);
  CLI::App* agent = app.add_subcommand("agent", "Serve locks to another program over a socket");
  agent->add_option("socket", o.arguments, "The path of a Unix socket, or fd:N")->required();
  CLI::App* list = app.add_subcommand("list", "List the locks and what they claim");
  list->add_flag("--rules", o.list_rules, "List the rules, and which drivers check each");
  list->add_flag("-v,--verbose", o.verbose, "With --rules: name the scenarios too");
  list->add_option("--locks", o.locks, "Which locks")->type_name("GLOB[,GLOB]");
  CLI::App* doctor = app.add_subcommand("doctor", "Say what this machine lets hobbs do");
  doctor->add_option("--color,--colour", o.colour, "auto, always or never");
}

/// What each command's help ends with: a call that works, and what its end means.
void add_footers(CLI::App& app) {
  constexpr std::pair<std::string_view, std::string_view> kExamples[] = {
      {"verify", "verify --locks 'rw_*,ticket' --budget 1m"},
      {"conform", "conform --cases my.cases --agent python"},
      {"stress", "stress --locks futex_mutex --budget 10s --seeds 4"},
      {"explore", "explore --locks mcs --workers 3 --acquisitions 1 --memory tso"},
      {"step", "step --locks pthread.mutex"},
      {"crash", "crash --locks robust_mutex"},
      {"bench", "bench --locks 'futex_mutex,pthread.mutex,python:mp.*'"},
      {"compare", "compare before.json after.json"},
      {"report", "report result.json --format html --output result.html"},
      {"replay", "replay hobbs-out/my_lock.explore.ME-1.0123abcd.json"},
      {"agent", "agent /tmp/locks.socket"},
      {"list", "list --rules"},
      {"doctor", "doctor"},
  };
  for (CLI::App* command : app.get_subcommands(nullptr)) {
    const auto example = std::ranges::find(kExamples, command->get_name(),
                                           &std::pair<std::string_view, std::string_view>::first);
    std::string footer;
    if (example != std::end(kExamples)) footer = "Example: hobbs " + std::string(example->second);
    command->footer(footer + kFooter);
  }
}

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// What was wrong, in one sentence.
std::string complaint(const CLI::App& app, int argc, const char* const* argv,
                      const CLI::ParseError& error) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  if (!first.empty() && first[0] != '-' && std::ranges::find(names, first) == names.end()) {
    const std::vector<std::string> near = near_matches(first, names);
    return "there is no command '" + std::string(first) + "'" +
           (near.empty() ? "; --help shows all" : "; near: " + near.front());
  }
  std::string words = error.what();
  std::ranges::replace(words, '\n', ' ');
  return words;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ms;
  };
  // "ms" before "s" and "m": the longest suffix decides.
  for (const Unit& unit : {Unit{"ms", 1}, Unit{"s", 1e3}, Unit{"m", 60e3}, Unit{"h", 3600e3}}) {
    if (!text.ends_with(unit.name)) continue;
    const std::optional<double> number =
        parse_number(text.substr(0, text.size() - unit.name.size()));
    if (!number) return std::nullopt;
    const double ms = *number * unit.ms;
    if (!(ms >= 1 && ms <= 1000 * 3600e3)) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
  }
  return std::nullopt;
}

ParsedOptions parse_options(int argc, const char* const* argv) {
  ParsedOptions parsed;
  Options& o = parsed.options;
  std::string budget;
  CLI::App app("hobbs: verification, stress and benchmarks for locks", "hobbs");
  app.set_version_flag("--version", "hobbs " + std::string(kVersion));
  app.footer(kFooter);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  // A script's defaults can be followed by one's own words.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_runners(app, o, budget);
  add_others(app, o, budget);
  add_footers(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream errors;
    const bool asked_for = app.exit(error, out, errors) == 0;
    parsed.exit_code = asked_for ? kExitPass : kExitUsage;
    parsed.message = asked_for ? out.str() : "hobbs: " + complaint(app, argc, argv, error) + "\n";
    return parsed;
  }
  const CLI::App* chosen = app.get_subcommands().front();
  o.command = chosen->get_name();
  const CLI::Option* locks = chosen->get_option_no_throw("--locks");
  o.locks_named = locks != nullptr && locks->count() > 0;
  const CLI::Option* agent = chosen->get_option_no_throw("--agent");
  o.agent_named = agent != nullptr && agent->count() > 0;
  for (const std::string& extra : chosen->remaining()) o.arguments.push_back(extra);
  if (!budget.empty()) o.budget = parse_duration(budget);
  return parsed;
}

}  // namespace hobbs
