// hobbs replay FILE: runs exactly what a finding's file says, in a child of its own.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include "harness/campaign.h"
#include "harness/commands.h"
#include "harness/conform/case_driver.h"
#include "harness/conform/conform_driver.h"
#include "harness/exit_code.h"
#include "harness/foreign/foreign_driver.h"
#include "harness/janitor.h"
#include "harness/machine.h"
#include "harness/output.h"
#include "harness/report_sink.h"
#include "harness/slice.h"
#include "reports/replay_case.h"

namespace hobbs {
namespace {

constexpr std::chrono::seconds kReplayBudget{60};
constexpr std::chrono::seconds kGrace{10};  // For a driver that does not keep to its time.
constexpr int kPollMs = 100;

/// The replay as one result: executions is how often it ran, finding.failed how often it failed.
/// A file that does not fit is a skip.
std::vector<Result> replay_result(const ReplayOutcome& outcome) {
  Result result = outcome.result;
  if (!outcome.error.empty()) {
    result.verdict = Verdict::kSkipped;
    result.reason = outcome.error;
    return {result};
  }
  result.executions = outcome.of;
  if (outcome.failed > 0) {
    if (!result.finding) result.finding.emplace();
    result.finding->failed = outcome.failed;
    result.finding->of = outcome.of;
    result.verdict = Verdict::kFail;
  }
  return {result};
}

SliceEnd run_in_child(Driver& driver, const LockSpec& lock, const std::string& text,
                      Request request, SignalHold& hold) {
  const SliceWork work = [&](const SliceChannel& channel) {
    request.progress = channel.progress;
    return replay_result(driver.replay(lock, text, request));
  };
  Slice slice(work, hold.before());
  int status = 0;
  pid_t reaped = 0;
  while (reaped != slice.pid()) {
    slice.read_messages();
    reaped = waitpid(slice.pid(), &status, WNOHANG);
    if (reaped < 0 && errno != EINTR) break;
    if (reaped == 0) slice.wait_readable(kPollMs);
    const bool late = std::chrono::steady_clock::now() > request.until + kGrace;
    if (late || !hold.interruption().empty()) slice.kill();
  }
  return slice.finish(status);
}

/// The process ended instead of telling: after a crash that is the failure again.
Result died(const ReplayCase& replay, const SliceEnd& end) {
  Result result;
  result.lock = replay.lock;
  result.driver = replay.driver;
  result.scenario = replay.scenario;
  result.rule = replay.rule;
  result.topology = replay.topology;
  result.verdict = Verdict::kInconclusive;
  result.reason = "the process that ran the lock ended with " + ending_words(end);
  if (!is_crash(end.signal)) return result;
  result.verdict = Verdict::kFail;
  result.executions = 1;
  Finding finding;
  finding.summary = result.reason;
  finding.program = to_text(replay.program);
  finding.schedule = replay.schedule;
  finding.failed = finding.of = 1;
  result.finding = std::move(finding);
  return result;
}

ReplayCase read_case(const std::string& file, std::string& text) {
  FileText content = read_file(file);
  if (!content.error.empty()) throw UsageError(content.error);
  text = std::move(content.text);
  ReplayParse parsed = parse_replay(text);
  if (!parsed.error.empty()) throw UsageError(file + ": " + parsed.error);
  return std::move(parsed.replay);
}

/// Of step: the processes of an agent, which the file names.
bool is_traced_case(const ReplayCase& replay) {
  return replay.driver == "step" && replay.options.contains("agent");
}

/// The seeds' locks of any agent are in no catalogue.
LockSpec lock_of(const ReplayCase& replay, const Catalog& catalog, const std::string& file) {
  const bool of_agent = replay.driver == "conform" || is_traced_case(replay);
  const Catalog of_agents = of_agent ? agent_catalog() : Catalog{};
  for (const Catalog* locks : {&catalog, &of_agents}) {
    const auto lock = std::find_if(locks->begin(), locks->end(),
                                   [&](const LockSpec& spec) { return spec.name == replay.lock; });
    if (lock != locks->end()) return *lock;
  }
  throw UsageError(fmt::format("{}: this program has no lock '{}'", file, replay.lock));
}

/// A conformance case brings its subject along: an agent, whose locks no catalogue knows.
bool is_conformance_case(const ReplayCase& replay) {
  return replay.driver == "conform" && replay.options.contains("case");
}

Driver& driver_of(const ReplayCase& replay, const Drivers& drivers, const std::string& file) {
  const auto entry = std::find_if(drivers.begin(), drivers.end(), [&](const DriverEntry& e) {
    return e.driver->name() == replay.driver;
  });
  if (entry == drivers.end()) {
    throw UsageError(fmt::format("{}: this version has no driver '{}'", file, replay.driver));
  }
  return *entry->driver;
}

}  // namespace

int replay_command(const Options& options, const Catalog& catalog, const Drivers& drivers,
                   const std::string& program) {
  std::string text;
  const ReplayCase replay = read_case(options.file, text);
  const bool is_case = is_conformance_case(replay);
  const LockSpec lock = is_case ? agent_subject("") : lock_of(replay, catalog, options.file);
  const bool is_traced = is_traced_case(replay);
  const std::unique_ptr<Driver> own = is_case     ? case_driver({}, {})
                                      : is_traced ? foreign_driver(replay.options.at("agent"))
                                                  : nullptr;
  Driver& driver = own != nullptr ? *own : driver_of(replay, drivers, options.file);
  const ReportSink sink(options);
  Request request;
  request.seed = replay.seed;
  request.until = std::chrono::steady_clock::now() + options.budget.value_or(kReplayBudget);
  const auto begin = std::chrono::steady_clock::now();
  SignalHold hold;
  SliceEnd end;
  {
    const Janitor janitor;
    request.work_directory = janitor.directory();
    end = run_in_child(driver, lock, text, request, hold);
  }
  if (!end.error.empty()) throw std::runtime_error("the driver stopped: " + end.error);
  Result result = end.clean && !end.results.empty() ? end.results.front() : died(replay, end);
  if (result.verdict == Verdict::kSkipped) throw UsageError(options.file + ": " + result.reason);
  if (result.verdict == Verdict::kInconclusive && !hold.interruption().empty()) {
    result.reason = hold.interruption();
  }
  const std::uint64_t failed = result.finding ? result.finding->failed : 0;
  if (result.finding) {
    result.finding->replay = replay_line(program, options.file);
    result.finding->replay_json = text;
  }
  Run run;
  run.command = "replay";
  run.started = utc_now();
  run.machine = machine_facts();
  run.seed = replay.seed;
  run.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::steady_clock::now() - begin)
                        .count();
  run.note = fmt::format("{}: failed {} of {}", options.file, failed, result.executions);
  run.results.push_back(std::move(result));
  return sink.write(run, exit_code_of(run.results));
}

}  // namespace hobbs
