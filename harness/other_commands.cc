// list, doctor, report and replay: the commands without a campaign.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "harness/commands.h"
#include "harness/drivers.h"
#include "harness/exit_code.h"
#include "harness/janitor.h"
#include "harness/listing.h"
#include "harness/machine.h"
#include "harness/output.h"
#include "harness/report_sink.h"
#include "reports/json.h"
#include "reports/replay_case.h"

namespace hobbs {
namespace {

constexpr std::chrono::seconds kReplayBudget{60};

void print(const std::string& text) {
  const std::string error = write_stdout(text);
  if (!error.empty()) throw std::runtime_error(error);
}

std::string read_or_refuse(const std::string& path) {
  FileText file = read_file(path);
  if (!file.error.empty()) throw UsageError(file.error);
  return std::move(file.text);
}

}  // namespace

int list_command(const Options& options, const Catalog& catalog) {
  print(list_locks(choose_locks(catalog, options.locks)));
  return kExitPass;
}

int doctor_command(const Options&) {
  std::string out;
  for (const auto& [key, value] : machine_facts()) out += fmt::format("{:<24} {}\n", key, value);
  std::size_t missing = 0;
  for (const Ability& ability : abilities()) {
    out +=
        fmt::format("{:<24} {:<4} {}\n", ability.name, ability.there ? "ok" : "NO", ability.found);
    if (ability.there) continue;
    ++missing;
    out += fmt::format("{:<24}      without it: {}\n", "", ability.without);
  }
  out +=
      missing == 0 ? "nothing is missing\n" : fmt::format("{} missing; the rest works\n", missing);
  print(out);
  return kExitPass;
}

int report_command(const Options& options) {
  const RunParse parsed = parse_run(read_or_refuse(options.file));
  if (!parsed.error.empty()) throw UsageError(options.file + ": " + parsed.error);
  return ReportSink(options).write(parsed.run, exit_code_of(parsed.run.results));
}

int replay_command(const Options& options, const Catalog& catalog, const std::string& program) {
  const std::string text = read_or_refuse(options.file);
  const ReplayParse parsed = parse_replay(text);
  if (!parsed.error.empty()) throw UsageError(options.file + ": " + parsed.error);
  const ReplayCase& replay = parsed.replay;
  const auto lock = std::find_if(catalog.begin(), catalog.end(),
                                 [&](const LockSpec& spec) { return spec.name == replay.lock; });
  if (lock == catalog.end()) {
    throw UsageError(fmt::format("{}: this program has no lock '{}'", options.file, replay.lock));
  }
  const Drivers drivers = all_drivers();
  const auto entry = std::find_if(drivers.begin(), drivers.end(), [&](const DriverEntry& e) {
    return e.driver->name() == replay.driver;
  });
  if (entry == drivers.end()) {
    throw UsageError(
        fmt::format("{}: this version has no driver '{}'", options.file, replay.driver));
  }
  const ReportSink sink(options);
  Request request;
  request.seed = replay.seed;
  request.until = std::chrono::steady_clock::now() + options.budget.value_or(kReplayBudget);
  ReplayOutcome outcome;
  {
    const Janitor janitor;
    request.work_directory = janitor.directory();
    outcome = entry->driver->replay(*lock, text, request);
  }
  if (!outcome.error.empty()) throw UsageError(options.file + ": " + outcome.error);
  Run run;
  run.command = "replay";
  run.started = utc_now();
  run.machine = machine_facts();
  run.seed = replay.seed;
  run.note = fmt::format("{} failed {} of {}", options.file, outcome.failed, outcome.of);
  if (outcome.result.finding) {
    outcome.result.finding->replay =
        fmt::format("{} replay {}", program, shell_quoted(options.file));
  }
  run.results.push_back(std::move(outcome.result));
  return sink.write(run, outcome.failed > 0 ? kExitFinding : kExitPass);
}

}  // namespace hobbs
