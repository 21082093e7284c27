// compare: two programs run now in pairs, or two results; a table and an exit code for CI.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/bench/instructions.h"
#include "harness/bench/spawn.h"
#include "harness/campaign.h"
#include "harness/commands.h"
#include "harness/exit_code.h"
#include "harness/glob.h"
#include "harness/output.h"
#include "harness/progress.h"
#include "reports/bench_run.h"
#include "reports/compare.h"
#include "reports/store.h"

namespace hobbs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBudget{60'000};
constexpr milliseconds kBudgetRunMin{20};
constexpr milliseconds kPatienceExtra{60'000};
constexpr std::uint32_t kPairs = 18;  // Of each session.
constexpr int kSessions = 2;
constexpr std::int64_t kRoundsMin =
    3;  // Of each case in a run: their median is one measurement ...
constexpr std::int64_t kRoundsMax = 15;
constexpr milliseconds kRoundCost{7};  // ... and none takes less.

struct Side {
  std::string what;  // As the caller named it.
  std::string text;  // A result's JSON; empty: it is a program.
};

Side side_of(const std::string& argument) {
  Side side{argument, ""};
  const FileText file = read_file(argument);
  if (!file.error.empty()) throw UsageError(file.error);
  if (is_bench_json(file.text)) {
    side.text = file.text;
  } else if (access(argument.c_str(), X_OK) != 0) {
    throw UsageError(argument + " is neither a result of `bench --format json` nor a program");
  }
  return side;
}

BenchRun run_of(const std::string& text, const std::string& what) {
  BenchParse parsed = parse_bench(text);
  if (!parsed.error.empty()) throw UsageError(what + ": " + parsed.error);
  return std::move(parsed.run);
}

BenchRun run_of(const std::string& program, const bench::Spawned& spawned) {
  if (!spawned.failure.empty()) throw UsageError(spawned.failure);
  if (!is_bench_json(spawned.out)) {
    throw UsageError(fmt::format("{} bench gave no result (exit {}): {}", program,
                                 spawned.exit_code, spawned.errors));
  }
  return run_of(spawned.out, program);
}

std::vector<std::string> bench_words(const std::string& program, const Options& options) {
  return {program, "bench", "--locks", options.locks, "--scenarios", options.scenarios};
}

/// How often a run of that length can measure each of its cases.
std::int64_t rounds_of(const std::string& program, const Options& options, milliseconds each) {
  std::vector<std::string> words = bench_words(program, options);
  words.push_back("--list");
  std::istringstream list(bench::run_program(words, kPatienceExtra).out);
  std::int64_t cases = 0;
  for (std::string line; std::getline(list, line);) {
    cases += line.find("  refused: ") == std::string::npos ? 1 : 0;
  }
  return std::clamp(each / kRoundCost / std::max<std::int64_t>(1, cases), kRoundsMin, kRoundsMax);
}

/// Both programs' own `bench`, without probes and as short as the budget asks, round by round in
/// turns: what disturbs one then disturbs the other too.
RunPair run_pair(const std::string& first, const std::string& second, const Options& options,
                 std::int64_t rounds, milliseconds budget) {
  const auto words = [&](const std::string& program) {
    std::vector<std::string> all = bench_words(program, options);
    for (const char* word : {"--take-turns", "--throughput-only", "--format", "json"}) {
      all.emplace_back(word);
    }
    all.insert(all.end(), {"--repetitions", std::to_string(rounds), "--budget",
                           fmt::format("{}ms", budget.count())});
    return all;
  };
  const auto [one, other] =
      bench::run_in_turns(words(first), words(second), budget * 6 + kPatienceExtra);
  return {run_of(first, one), run_of(second, other)};
}

/// Both sides' processes anew for each pair, since where a process's memory comes to lie makes a
/// difference of its own, which within a pair is always the same.
std::vector<std::vector<RunPair>> run_sessions(const std::string& first, const std::string& second,
                                               const Options& options) {
  const std::uint32_t pairs = options.repetitions != 0 ? options.repetitions : kPairs;
  const milliseconds each =
      std::max(kBudgetRunMin, options.budget.value_or(kBudget) / (2 * kSessions * pairs));
  const std::int64_t rounds = rounds_of(first, options, each);
  // A signal for the whole group ends the programs too, one for us alone takes effect after a pair.
  SignalHold hold;
  Progress progress;
  std::vector<std::vector<RunPair>> sessions(kSessions);
  for (std::uint32_t i = 0; i < kSessions * pairs; ++i) {
    progress.update(fmt::format("compare: pair {} of {}", i + 1, kSessions * pairs));
    std::optional<RunPair> pair;
    try {
      pair = run_pair(first, second, options, rounds, each);
    } catch (const UsageError&) {
      if (hold.interruption().empty()) throw;
    }
    if (!hold.interruption().empty()) throw Interrupted(hold.interruption());
    sessions[i / pairs].push_back(*std::move(pair));
  }
  progress.clear();
  return sessions;
}

/// The instruction counts of both sides' fast paths: one line a lock, and whether one has grown.
struct InstructionGate {
  std::string text;
  bool grown = false;
};

InstructionGate compare_instructions(const std::string& first, const std::string& second,
                                     const Options& options, const Catalog& catalog) {
  InstructionGate gate;
  for (const LockSpec& lock : choose_locks(catalog, options.locks, true)) {
    const bench::Instructions before = bench::count_instructions(first, lock.name);
    const bench::Instructions after = bench::count_instructions(second, lock.name);
    if (!before.error.empty() || !after.error.empty()) {
      throw UsageError(before.error.empty() ? after.error : before.error);
    }
    const bool grown = after.per_operation > before.per_operation;
    gate.grown |= grown;
    gate.text += fmt::format("{:<12} {}: {} -> {} instructions an uncontended pair\n",
                             grown ? "slower" : "no change", lock.name, before.per_operation,
                             after.per_operation);
  }
  return gate;
}

BenchRun baseline_of(const Options& options, const BenchRun& now) {
  if (options.store.empty()) throw UsageError("--against names a baseline in --store FILE");
  Store store(options.store);
  const std::string machine = machine_fingerprint(now);
  const std::optional<std::int64_t> id = store.find_baseline(options.against, machine);
  if (!id) {
    throw UsageError(fmt::format("{} has no baseline '{}' of this machine ({})", options.store,
                                 options.against, machine));
  }
  return store.load_bench(*id);
}

constexpr const char* kWeaker =
    "The runs were not made side by side: the machine may have changed between them, which this "
    "cannot tell from a change of the lock. Comparing two programs can.\n";

std::vector<ComparedCase> compared(const Options& options, const Gate& gate, std::string& note) {
  std::vector<Side> sides;
  for (const std::string& argument : options.arguments) sides.push_back(side_of(argument));
  if (!options.against.empty()) {
    if (sides.size() != 1 || sides[0].text.empty()) {
      throw UsageError("with --against, compare takes one result file");
    }
    const BenchRun now = run_of(sides[0].text, sides[0].what);
    note = kWeaker;
    return compare_runs(baseline_of(options, now), now, gate);
  }
  if (sides.size() != 2) throw UsageError("compare takes two programs or two result files");
  if (sides[0].text.empty() != sides[1].text.empty()) {
    throw UsageError("compare takes two programs or two result files, not one of each");
  }
  if (sides[0].text.empty()) {
    return compare_sessions(run_sessions(sides[0].what, sides[1].what, options), gate);
  }
  note = kWeaker;
  const BenchRun first = run_of(sides[0].text, sides[0].what);
  const BenchRun second = run_of(sides[1].text, sides[1].what);
  if (machine_fingerprint(first) != machine_fingerprint(second)) {
    throw UsageError(fmt::format("the results are of different machines: {}, and {}",
                                 machine_fingerprint(first), machine_fingerprint(second)));
  }
  return compare_runs(first, second, gate);
}

int exit_code_of(Change change) {
  switch (change) {
    case Change::kSlower: return kExitFinding;
    case Change::kInconclusive: return kExitInconclusive;
    case Change::kNone:
    case Change::kFaster: return kExitPass;
  }
  return kExitInternal;
}

}  // namespace

int compare_command(const Options& options, const Catalog& catalog) {
  if (options.format != "text" && options.format != "json") {
    throw UsageError("a comparison has no format '" + options.format + "'; choose text or json");
  }
  Gate gate;
  gate.threshold = options.threshold_percent / 100;
  std::string note;
  const std::vector<ComparedCase> cases = compared(options, gate, note);
  if (cases.empty()) throw NothingToRun("the two sides measured nothing in common");
  int exit_code = exit_code_of(overall(cases));
  std::string text =
      options.format == "json" ? comparison_json(cases, gate) : render_comparison(cases, gate);
  if (options.instructions) {
    const InstructionGate instructions =
        compare_instructions(options.arguments.front(), options.arguments.back(), options, catalog);
    if (instructions.grown) exit_code = kExitFinding;
    if (options.format == "text") text += instructions.text;
  }
  if (options.format == "text") text += note;
  const std::string error =
      options.output.empty() ? write_stdout(text) : write_file(options.output, text);
  if (!error.empty()) throw std::runtime_error(error);
  return exit_code;
}

}  // namespace hobbs
