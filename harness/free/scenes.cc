#include "harness/free/scenes.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include "harness/free/reused_number.h"
#include "harness/free/twin_numbers.h"
#include "harness/glob.h"

namespace hobbs::gang {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kReusedPatience{500};
constexpr int kTrials = 3;

std::int64_t ms_since(Clock::time_point began) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - began).count();
}

/// A lock is told to be mistaken only if it was so in every trial.
void accuse(Result& result, const LockSpec& lock, const std::string& program, std::string summary,
            std::vector<std::string> evidence) {
  result.verdict = Verdict::kFail;
  result.reason.clear();
  Finding finding;
  finding.summary = std::move(summary);
  finding.program = program;
  finding.evidence = std::move(evidence);
  finding.failed = finding.of = kTrials;
  Job job;
  job.program = parse_program("lock | lock").program;
  finding.replay_json = to_json(replay_case(lock, result.scenario, job, result.rule));
  result.finding = std::move(finding);
}

const Scene& reused();
const Scene& twins();

/// With more patience each time. A trial that came to nothing is made again.
Result try_reused(const LockSpec& lock, const Request& request) {
  using End = ReuseTrial::End;
  Result result = base_result(lock, reused().name, "fork", reused().rule);
  const auto began = Clock::now();
  std::vector<std::string> evidence;
  milliseconds patience = kReusedPatience;
  for (int i = 0; i < kTrials; ++i, patience *= 2) {
    ReuseTrial trial =
        try_reused_number(lock, fmt::format("{}/reused-{}", request.work_directory, i), patience);
    ++result.executions;
    result.verdict = trial.end == End::kRecovered ? Verdict::kPass
                     : trial.end == End::kRefused ? Verdict::kSkipped
                                                  : Verdict::kInconclusive;
    result.reason = trial.end == End::kRecovered
                        ? "recovered although another process had the dead holder's number"
                        : trial.sentence;
    if (trial.end == End::kRecovered || trial.end == End::kRefused) break;
    if (Clock::now() >= request.until) {
      result.verdict = Verdict::kInconclusive;
      break;
    }
    if (trial.end == End::kMistaken) {
      evidence.push_back(fmt::format("{}, after {} ms", trial.sentence, patience.count()));
    }
  }
  result.duration_ms = ms_since(began);
  if (evidence.size() < kTrials) return result;
  accuse(result, lock, "lock, dies | lock",
         "the number of the dead holder is taken for the holder, whoever has it now",
         std::move(evidence));
  return result;
}

Result try_twins(const LockSpec& lock, const Request& request) {
  using End = TwinTrial::End;
  Result result = base_result(lock, twins().name, "fork", twins().rule);
  const auto began = Clock::now();
  std::vector<std::string> evidence;
  for (int i = 0; i < kTrials; ++i) {
    TwinTrial trial = try_twin_numbers(lock, fmt::format("{}/twins-{}", request.work_directory, i));
    ++result.executions;
    result.verdict = trial.end == End::kToldApart ? Verdict::kPass
                     : trial.end == End::kRefused ? Verdict::kSkipped
                                                  : Verdict::kInconclusive;
    result.reason = trial.end == End::kToldApart
                        ? "the twin of the holder had to wait until it had released"
                        : trial.sentence;
    if (trial.end != End::kMistaken) break;
    evidence.push_back(trial.sentence);
  }
  result.duration_ms = ms_since(began);
  if (evidence.size() < kTrials) return result;
  accuse(result, lock, "lock | try", "equal numbers in two namespaces are taken for one owner",
         std::move(evidence));
  return result;
}

constexpr Scene kScenes[] = {
    {"crash/reused-number", "ID-1", "the dead holder's process number goes to another process",
     survives_deaths, try_reused},
    {"place/twin-numbers", "ID-3", "holder and newcomer have one number, in two namespaces",
     works_across_namespaces, try_twins},
};

const Scene& reused() { return kScenes[0]; }
const Scene& twins() { return kScenes[1]; }

}  // namespace

std::span<const Scene> scenes() { return kScenes; }

const Scene* find_scene(const std::string& name) {
  const auto scene =
      std::ranges::find(kScenes, name, [](const Scene& s) { return std::string_view(s.name); });
  return scene == std::end(kScenes) ? nullptr : scene;
}

std::vector<Result> play_scenes(const LockSpec& lock, const Request& request) {
  std::vector<Result> results;
  for (const Scene& scene : kScenes) {
    if (!scene.fits(lock) || !glob_match_any(request.rules, scene.rule) ||
        !glob_match(request.scenarios, scene.name)) {
      continue;
    }
    request.progress(fmt::format("{}, {}", scene.name, lock.name));
    results.push_back(scene.play(lock, request));
    if (results.back().verdict != Verdict::kFail) continue;
    request.found(results.back());
    break;
  }
  return results;
}

Result base_result(const LockSpec& lock, const std::string& scenario, std::string topology,
                   std::string rule) {
  Result result;
  result.lock = lock.name;
  result.scenario = scenario;
  result.driver = "free";
  result.topology = std::move(topology);
  result.rule = std::move(rule);
  return result;
}

ReplayCase replay_case(const LockSpec& lock, const std::string& scenario, const Job& job,
                       const std::string& rule) {
  ReplayCase replay;
  replay.lock = lock.name;
  replay.claims = lock.claims;
  replay.driver = "free";
  replay.scenario = scenario;
  replay.rule = rule;
  replay.program = job.program;
  replay.topology = to_string(job.topology);
  replay.seed = job.seed;
  replay.options["nemesis"] = to_string(job.nemesis);
  return replay;
}

}  // namespace hobbs::gang
