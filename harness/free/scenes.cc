#include "harness/free/scenes.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "harness/free/asleep.h"
#include "harness/free/caught_calls.h"
#include "harness/free/deadlock.h"
#include "harness/free/other_names.h"
#include "harness/free/reused_number.h"
#include "harness/free/twin_numbers.h"
#include "harness/free/zeroed.h"
#include "harness/glob.h"

namespace hobbs::gang {
namespace {

constexpr int kAttempts = 3;
constexpr std::chrono::steady_clock::duration kAtLeast = std::chrono::seconds(5);

Verdict verdict_of(Played::End end) {
  switch (end) {
    case Played::End::kKept: return Verdict::kPass;
    case Played::End::kRefused: return Verdict::kSkipped;
    default: return Verdict::kInconclusive;
  }
}

Finding finding_of(const Scene& scene, const LockSpec& lock, std::vector<std::string> evidence) {
  Finding finding;
  finding.summary = scene.broken;
  finding.program = scene.program;
  finding.evidence = std::move(evidence);
  finding.failed = finding.of = kAttempts;
  Job job;
  job.program = parse_program("lock | lock").program;
  finding.replay_json = to_json(replay_case(lock, scene.name, job, scene.rule));
  return finding;
}

constexpr Scene kScenes[] = {
    {"crash/reused-number", "ID-1", "the dead holder's process number goes to another process",
     survives_deaths, try_reused_number, "lock, dies | lock",
     "recovered although another process had the dead holder's number",
     "the number of the dead holder is taken for the holder, whoever has it now"},
    {"place/twin-numbers", "ID-3", "holder and newcomer have one number, in two namespaces",
     works_across_namespaces, try_twin_numbers, "lock | try",
     "the twin of the holder had to wait until it had released",
     "equal numbers in two namespaces are taken for one owner"},
    {"place/zeroed", "AB-1", "two processes use zeroed memory that nobody has constructed",
     is_free_when_zero, try_zeroed, "lock work unlock | lock work unlock",
     "zeroed memory served as a new lock", "zeroed memory is no free lock"},
    {"place/other-names", "FS-7", "one name is held, a newcomer uses another name of the same file",
     can_be_named_otherwise, try_other_names, "lock(whole path) unlock | try(other name) try",
     "who held it by its whole path held it by each other name",
     "another name of the same file is another lock"},
    {"wait/asleep", "RS-3", "waiters wait while the lock is held for a quarter of a second",
     waits_asleep, try_asleep, "lock work(250ms) unlock | lock | lock",
     "the waiters used next to no processor time", "waiters burn processor time"},
    {"deadlock/own", "DL-1", "the holder asks for the lock again", finds_own_deadlock,
     try_own_deadlock, "lock lock", "who would have waited for itself was told so",
     "who waits for itself waits for ever"},
    {"deadlock/ring", "DL-2", "two processes each hold a lock and ask for the other's", finds_ring,
     try_ring, "lock(0) lock(1) | lock(1) lock(0)", "one of the two was told of the deadlock",
     "two wait for each other for ever"},
    {"deadlock/kept", "DL-5", "who is refused for a deadlock keeps what it has", finds_ring,
     try_ring_kept, "lock(0) lock(1) | lock(1) lock(0) | try(0) try(1)",
     "both kept their locks, and went on when the refused one had released",
     "who was refused for a deadlock has lost its other lock"},
};

}  // namespace

std::span<const Scene> scenes() { return kScenes; }

const Scene* find_scene(const std::string& name) {
  const auto scene =
      std::ranges::find(kScenes, name, [](const Scene& s) { return std::string_view(s.name); });
  return scene == std::end(kScenes) ? nullptr : scene;
}

Result play_scene(const Scene& scene, const LockSpec& lock, const Request& request) {
  using Clock = std::chrono::steady_clock;
  Result result = base_result(lock, scene.name, "fork", scene.rule);
  const auto began = Clock::now();
  std::vector<std::string> evidence;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string stem =
        std::string(scene.name).substr(std::string_view(scene.name).find('/') + 1);
    Played played =
        scene.play(lock, fmt::format("{}/{}-{}", request.work_directory, stem, attempt), attempt);
    ++result.executions;
    result.verdict = verdict_of(played.end);
    result.reason = played.end == Played::End::kKept ? scene.kept : played.sentence;
    if (result.verdict != Verdict::kInconclusive) break;
    if (played.end == Played::End::kBroken) evidence.push_back(std::move(played.sentence));
    // What has always been broken has its other plays; what came to nothing may do so for ever.
    const bool always = evidence.size() == static_cast<std::size_t>(attempt) + 1;
    if (!always && Clock::now() >= request.until) break;
  }
  if (evidence.size() == kAttempts) {
    result.verdict = Verdict::kFail;
    result.reason.clear();
    result.finding = finding_of(scene, lock, std::move(evidence));
  }
  result.duration_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began).count();
  return result;
}

std::vector<Result> play_scenes(const LockSpec& lock, const Request& request) {
  // A broken lock may make every scene wait in vain, and what would show why comes after them.
  Request asked = request;
  const auto now = std::chrono::steady_clock::now();
  asked.until = std::min(request.until, now + std::max((request.until - now) / 4, kAtLeast));
  std::vector<Result> results;
  for (const Scene& scene : kScenes) {
    if (!scene.fits(lock) || !glob_match_any(request.rules, scene.rule) ||
        !glob_match(request.scenarios, scene.name)) {
      continue;
    }
    request.progress(fmt::format("{}, {}", scene.name, lock.name));
    results.push_back(play_scene(scene, lock, asked));
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
  // Which points it counts depends on that.
  if (job.catches && catches_calls(lock, job.program, job.nemesis)) replay.options["caught"] = "1";
  return replay;
}

}  // namespace hobbs::gang
