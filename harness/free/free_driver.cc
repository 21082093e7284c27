#include "harness/free/free_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "harness/free/caught_calls.h"
#include "harness/free/gang.h"
#include "harness/free/kill_points.h"
#include "harness/free/programs.h"
#include "harness/free/scenes.h"
#include "harness/free/shrink.h"
#include "harness/free/spawn.h"
#include "harness/glob.h"
#include "reports/replay_case.h"

namespace hobbs {
namespace {

using Clock = std::chrono::steady_clock;
using gang::base_result;
using gang::Family;
using gang::Job;
using gang::JobEnd;
using gang::Nemesis;
using gang::replay_case;
using std::chrono::milliseconds;

constexpr milliseconds kFirstSlice{25};
constexpr milliseconds kSliceMax{400};
constexpr std::uint32_t kStaleRounds = 3;
constexpr std::uint32_t kExcusesMax = 3;
constexpr milliseconds kShrinkMin{1000};
constexpr milliseconds kShrinkMax{4000};
constexpr milliseconds kOverdraw{1500};  // Less than the campaign lets a driver overstay.
// Of the points at which a worker can die, so many must have been tried for a pass to mean
// anything.
constexpr double kKillPointsFloor = 0.25;
constexpr std::uint64_t kRoundsInVain = 20;  // Whose nemesis never struck has nothing to strike.
constexpr std::uint64_t kContendedFloor = 20;
constexpr std::uint64_t kContendedFloorOnPaths = 3;  // Their waiters sleep between looks.
constexpr std::uint64_t kReplays = 10;
constexpr milliseconds kReplayEach{2000};

/// What was run of one family.
struct Covered {
  const Family* family = nullptr;
  gang::Stats stats;
  std::uint64_t runs = 0;
  std::int64_t spent_ms = 0;
  std::string unsure;
  std::string undecided;
  std::string refused;   // Why this machine does not let its nemesis work.
  std::string uncaught;  // Why the lock does not let its system calls be caught.
  bool cut = false;      // A run was, before its first round had ended.
  // Of the kill points of its programs, each under one nemesis: tried, and there as far as is
  // known (a program of which nothing is known counts as the others do).
  std::uint32_t points_tried = 0;
  double points = 0;
};

std::string topology_words(const std::vector<Topology>& topologies) {
  std::string words;
  for (const Topology topology : topologies) {
    words += (words.empty() ? "" : ",") + std::string(to_string(topology));
  }
  return words;
}

/// Kill points are a bounded enumeration: a pass says how much of it there was.
void judge_deaths(const Covered& covered, Result& result) {
  result.reason = fmt::format("{} deaths, at {} of about {:.0f} points in {} programs, {}",
                              covered.stats.deaths, covered.points_tried, covered.points,
                              covered.family->programs.size(), result.reason);
  if (covered.stats.deaths == 0) {
    result.verdict = Verdict::kInconclusive;
    result.reason = "nobody died: " + result.reason;
  } else if (covered.points == 0 || covered.points_tried < kKillPointsFloor * covered.points) {
    result.verdict = Verdict::kInconclusive;
    result.reason = fmt::format("deaths at too few points ({:.0f} % are the floor): {}",
                                100 * kKillPointsFloor, result.reason);
  }
}

/// Why this machine does not let the family's nemesis work; empty if it does.
std::string refusal_of(const Family& family) {
  const auto& nemeses = family.nemeses;
  return std::ranges::any_of(nemeses, gang::falsifies_calls) ? gang::why_no_caught_calls() : "";
}

std::uint64_t contended_floor(const LockSpec& lock) {
  return lock.home == Home::kPath ? kContendedFloorOnPaths : kContendedFloor;
}

Result coverage_result(const LockSpec& lock, const Covered& covered) {
  const Family& family = *covered.family;
  const gang::Stats& stats = covered.stats;
  Result result = base_result(lock, family.name, topology_words(family.topologies), family.rules);
  result.executions = stats.rounds;
  result.duration_ms = covered.spent_ms;
  result.reason = fmt::format(
      "{} acquisitions in {} rounds, {} contended ({:.0f} %), {} refused, "
      "{} strikes of nemeses; history of {} calls judged{}",
      stats.acquired, stats.rounds, stats.contended,
      stats.acquired == 0
          ? 0.0
          : 100.0 * static_cast<double>(stats.contended) / static_cast<double>(stats.acquired),
      stats.refused, stats.strikes, stats.judged,
      covered.undecided.empty() ? "" : fmt::format(" (in part: {})", covered.undecided));
  if (!covered.uncaught.empty()) result.reason += "; " + covered.uncaught;
  if (!covered.refused.empty()) {
    result.verdict = Verdict::kSkipped;
    result.reason = covered.refused;
  } else if (covered.runs == 0) {
    result.verdict = Verdict::kInconclusive;
    result.reason = "the budget ended before it ran";
  } else if (!covered.unsure.empty()) {
    result.verdict = Verdict::kInconclusive;
    result.reason = covered.unsure + "; " + result.reason;
  } else if (family.must_contend && stats.contended < contended_floor(lock)) {
    result.verdict = Verdict::kInconclusive;
    result.reason = "too little contention to say anything: " + result.reason;
  } else if (family.must_strike && stats.strikes == 0) {
    const bool in_vain = stats.rounds >= kRoundsInVain && !family.unstruck.empty();
    result.verdict = in_vain ? Verdict::kSkipped : Verdict::kInconclusive;
    result.reason = !in_vain                   ? "its nemesis never struck: " + result.reason
                    : covered.uncaught.empty() ? family.unstruck
                                               : covered.uncaught;
  } else if (stats.rounds == 0 &&
             (covered.cut || (stats.refused + stats.judged == 0 && !family.kills))) {
    result.verdict = Verdict::kInconclusive;
    result.reason = "no round came to its end in time: " + result.reason;
  } else if (family.kills) {
    judge_deaths(covered, result);
  }
  return result;
}

Finding finding_of(const gang::Confirmed& confirmed) {
  Finding finding;
  finding.summary = confirmed.breach.summary;
  finding.program = to_text(confirmed.job.program);
  finding.history = confirmed.breach.history;
  finding.evidence = confirmed.breach.evidence;
  const LockSpec& lock = *confirmed.job.lock;
  if (confirmed.job.topology != Topology::kThreads && lock.home == Home::kMemory &&
      !lock.hooked.available()) {
    finding.evidence.push_back(
        "its workers were processes; a lock for threads alone is to claim process_shared = false");
  }
  finding.failed = confirmed.failed;
  finding.of = confirmed.of;
  return finding;
}

Result finding_result(const LockSpec& lock, const std::string& scenario,
                      const gang::Confirmed& confirmed) {
  const std::string rule = gang::told_rule(confirmed.job, confirmed.breach.rule);
  Result result = base_result(lock, scenario, std::string(to_string(confirmed.job.topology)), rule);
  result.executions = confirmed.of;
  if (confirmed.failed == 0 && !confirmed.breach.proven) {
    result.verdict = Verdict::kInconclusive;
    result.reason = fmt::format("seen once, and not in {} repetitions, so nothing is claimed: {}",
                                confirmed.of, confirmed.breach.summary);
    return result;
  }
  result.verdict = Verdict::kFail;
  result.finding = finding_of(confirmed);
  if (rule != confirmed.breach.rule) {
    result.finding->evidence.push_back("it showed as a breach of " + confirmed.breach.rule);
  }
  if (confirmed.failed == 0) {
    result.finding->evidence.push_back(
        fmt::format("seen once; {} repetitions did not show it again", confirmed.of));
  }
  result.finding->replay_json = to_json(replay_case(lock, scenario, confirmed.job, result.rule));
  return result;
}

/// One thing to do, again and again with growing slices of time.
struct Duty {
  std::size_t family = 0;
  std::size_t program = 0;
  Topology topology = Topology::kFork;
  Nemesis nemesis = Nemesis::kNone;
  gang::KillPoints kill_points;
  std::uint32_t excuses = 0;
  bool spent = false;  // More of it would tell nothing.
};

class Campaigner {
 public:
  Campaigner(const LockSpec& lock, const Request& request)
      : lock_(lock), request_(request), families_(gang::families_of(lock)), seed_(request.seed) {
    for (Family& family : families_) select_nemeses(family);
    std::erase_if(families_, [&](const Family& family) {
      return family.nemeses.empty() || !glob_match_any(request.rules, family.rules);
    });
    for (const Family& family : families_) {
      Covered& covered = covered_.emplace_back();
      covered.family = &family;
      covered.refused = refusal_of(family);
    }
    plan();
  }

  std::vector<Result> run() {
    std::vector<Result> results = gang::play_scenes(lock_, request_);
    if (!results.empty() && results.back().verdict == Verdict::kFail) return results;
    auto left = request_.until - Clock::now();
    hunt_until_ = request_.until - std::min<Clock::duration>(left / 8, kShrinkMax);
    milliseconds slice = kFirstSlice;
    bool over = duties_.empty();
    while (!over && Clock::now() < hunt_until_) {
      const bool short_of_time = Clock::now() > request_.until - left * 2 / 5;
      for (Duty& duty : duties_) {
        if (Clock::now() >= hunt_until_) break;
        // What would end as inconclusive for want of time comes first.
        if (short_of_time && !is_starved(duty.family) && any_starved()) continue;
        if (over = run_duty(duty, slice); over) break;
      }
      slice = std::min(2 * slice, kSliceMax);
    }
    count_kill_points();
    for (const Covered& covered : covered_) {
      if (found_ && (covered.family == found_family_ || covered.runs == 0)) continue;
      results.push_back(coverage_result(lock_, covered));
    }
    if (found_) results.push_back(std::move(*found_));
    return results;
  }

 private:
  /// A scenario is asked for by its name, or with one nemesis alone: "burst/exclusion+churn".
  void select_nemeses(Family& family) const {
    if (glob_match(request_.scenarios, family.name)) return;
    std::erase_if(family.nemeses, [&](Nemesis nemesis) {
      return !glob_match(request_.scenarios, family.name + "+" + std::string(to_string(nemesis)));
    });
  }

  /// The first program of every family first, then the second; and all of them under some topology
  /// and nemesis before any under another: what comes early is wide.
  void plan() {
    std::size_t variants = 0;
    for (const Family& family : families_) {
      variants = std::max(variants, family.topologies.size() * family.nemeses.size());
    }
    std::size_t programs = 0;
    for (const Family& family : families_) programs = std::max(programs, family.programs.size());
    for (std::size_t v = 0; v < variants; ++v) {
      for (std::size_t p = 0; p < programs; ++p) {
        for (std::size_t f = 0; f < families_.size(); ++f) add_duty(f, p, v);
      }
    }
  }

  void add_duty(std::size_t f, std::size_t p, std::size_t variant) {
    const Family& family = families_[f];
    const std::size_t places = family.topologies.size();
    if (!covered_[f].refused.empty()) return;
    if (p >= family.programs.size() || variant >= places * family.nemeses.size()) return;
    const std::size_t pick = variant + p;
    Duty duty;
    duty.family = f;
    duty.program = p;
    duty.topology = family.topologies[pick % places];
    duty.nemesis = family.nemeses[(pick / places + pick % places) % family.nemeses.size()];
    duties_.push_back(duty);
  }

  bool is_starved(std::size_t f) const {
    const Covered& covered = covered_[f];
    if (!covered.refused.empty()) return false;
    return covered.runs == 0 || (covered.family->kills && covered.stats.deaths == 0) ||
           (covered.family->must_contend && covered.stats.contended < contended_floor(lock_));
  }
  bool any_starved() const {
    for (std::size_t f = 0; f < covered_.size(); ++f) {
      if (is_starved(f)) return true;
    }
    return false;
  }

  /// Of each program the nemesis under which the most was tried.
  void count_kill_points() {
    for (std::size_t f = 0; f < families_.size(); ++f) {
      std::map<std::size_t, const gang::KillPoints*> best;
      for (const Duty& duty : duties_) {
        if (duty.family != f || duty.kill_points.planned() == 0) continue;
        const gang::KillPoints*& known = best[duty.program];
        if (known == nullptr || known->covered() < duty.kill_points.covered()) {
          known = &duty.kill_points;
        }
      }
      double planned = 0;
      for (const auto& [program, points] : best) {
        covered_[f].points_tried += points->covered();
        planned += points->planned();
      }
      if (best.empty()) continue;
      covered_[f].points = planned * static_cast<double>(families_[f].programs.size()) /
                           static_cast<double>(best.size());
    }
  }

  Job job_of(const Duty& duty, Clock::time_point until) {
    const Family& family = families_[duty.family];
    Job job;
    job.lock = &lock_;
    job.program = family.programs[duty.program];
    job.topology = duty.topology;
    job.nemesis = duty.nemesis;
    job.means = family.means;
    job.seed = ++seed_;
    job.until = until;
    job.latest = request_.until + kOverdraw;
    job.directory = request_.work_directory;
    job.catches = catches_;
    if (duty.nemesis == Nemesis::kStale) job.rounds = kStaleRounds;
    if (!family.kills) return job;
    job.rounds = 1;
    job.program.faults[0].point = duty.kill_points.next();
    for (std::size_t i = 1; i < job.program.faults.size(); ++i) {
      job.program.faults[i].point =
          1 + static_cast<std::uint32_t>(seed_ * 7 % (duty.kill_points.next() + 24));
    }
    return job;
  }

  /// One slice of time for one duty; true if the hunt is over.
  bool run_duty(Duty& duty, milliseconds slice) {
    const Family& family = families_[duty.family];
    request_.progress(fmt::format("{} {} {}, {}", family.name, to_string(duty.topology),
                                  to_string(duty.nemesis), lock_.name));
    const auto until = std::min(hunt_until_, Clock::now() + family.weight * slice);
    // Runs may end early: when somebody has died, or when there is enough to judge.
    do {
      if (duty.spent) return false;
      if (run_once(duty, until)) return true;
    } while (Clock::now() < until);
    return false;
  }

  bool run_once(Duty& duty, Clock::time_point until) {
    const Family& family = families_[duty.family];
    Covered& covered = covered_[duty.family];
    const Job job = job_of(duty, until);
    const auto begin = Clock::now();
    JobEnd end = gang::run_job(job);
    if (!end.uncatchable.empty()) return stop_catching(end.uncatchable), false;
    const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
    covered.stats += end.stats;
    covered.spent_ms += took.count();
    ++covered.runs;
    if (!end.unsure.empty()) covered.unsure = end.unsure;
    covered.cut |= end.cut && end.stats.rounds == 0 && !family.kills;
    if (!end.undecided.empty()) covered.undecided = end.undecided;
    if (family.kills && !end.cut) duty.kill_points.tried(end.stats.deaths > 0);
    // Whoever waits for a dead holder may wait for ever, by contract: nothing more is to be seen.
    duty.excuses += end.excused ? 1 : 0;
    duty.spent = duty.excuses >= (duty.nemesis == Nemesis::kStale ? 1u : kExcusesMax);
    return end.breach && take(job, *end.breach, took, duty.family);
  }

  /// From now on all is run without, as well as can be, and said to be so.
  void stop_catching(const std::string& why) {
    catches_ = false;
    for (Duty& duty : duties_) duty.kill_points = {};
    for (Covered& covered : covered_) {
      covered.uncaught = why;
      if (covered.family->kills) covered.stats = {};
    }
  }

  /// Shrinks, repeats and tells a breach; false if it comes to nothing.
  bool take(const Job& job, const gang::Breach& breach, milliseconds took, std::size_t at) {
    const Family& family = families_[at];
    Covered& covered = covered_[at];
    const auto until = std::max(request_.until, Clock::now() + kShrinkMin);
    const gang::Confirmed confirmed =
        gang::shrink(job, breach, took, std::min({until, Clock::now() + kShrinkMax, job.latest}));
    Result result = finding_result(lock_, family.name, confirmed);
    if (result.verdict != Verdict::kFail) {
      covered.unsure = result.reason;
      return false;
    }
    result.executions += covered.stats.rounds;
    result.duration_ms = covered.spent_ms;
    request_.found(result);
    found_ = std::move(result);
    found_family_ = &family;
    return true;
  }

  const LockSpec& lock_;
  const Request& request_;
  std::vector<Family> families_;
  std::vector<Covered> covered_;
  std::vector<Duty> duties_;
  Clock::time_point hunt_until_;
  std::uint64_t seed_;
  bool catches_ = true;
  std::optional<Result> found_;
  const Family* found_family_ = nullptr;
};

std::string read_job(const LockSpec& lock, std::string_view json, Job& job, ReplayCase& replay) {
  ReplayParse parsed = parse_replay(json);
  if (!parsed.error.empty()) return parsed.error;
  replay = std::move(parsed.replay);
  job.lock = &lock;
  job.program = replay.program;
  job.seed = replay.seed;
  if (!gang::fits(lock, job.program)) {
    return "the program asks for calls or meetings that this lock or these workers do not offer";
  }
  bool known = replay.topology.empty();
  for (const Topology topology :
       {Topology::kFork, Topology::kSpawn, Topology::kThreads, Topology::kMixed}) {
    if (to_string(topology) != replay.topology) continue;
    job.topology = topology;
    known = true;
  }
  if (job.topology == Topology::kSpawn && !gang::spawn_is_served()) {
    return "this program does not start its workers anew: its main() is not hobbs::main_with";
  }
  if (!known) return "topology '" + replay.topology + "' is none of fork, spawn, threads, mixed";
  if (!job.program.faults.empty()) job.rounds = 1;
  const auto nemesis = replay.options.find("nemesis");
  if (nemesis != replay.options.end() && !gang::parse_nemesis(nemesis->second, job.nemesis)) {
    return "there is no nemesis '" + nemesis->second + "'";
  }
  job.catches = replay.options.contains("caught") || gang::falsifies_calls(job.nemesis);
  if (job.catches && !gang::why_no_caught_calls().empty()) return gang::why_no_caught_calls();
  if (job.nemesis == Nemesis::kStale) job.rounds = kStaleRounds;
  for (const Family& family : gang::families_of(lock)) {
    if (family.name == replay.scenario) job.means = family.means;
  }
  return "";
}

}  // namespace

std::string FreeDriver::unfit(const LockSpec& lock) const {
  if (!lock.real.available()) return "it has no calls on the machine itself";
  if (gang::topologies_of(lock).empty()) {
    return "its claims leave no place for two workers: neither threads nor processes share it";
  }
  return "";
}

std::vector<ScenarioInfo> FreeDriver::scenarios(const LockSpec& lock) const {
  std::vector<ScenarioInfo> list;
  for (const Family& family : gang::families_of(lock)) {
    list.push_back({family.name, family.rules, family.about});
  }
  for (const gang::Scene& scene : gang::scenes()) {
    if (scene.fits(lock)) list.push_back({scene.name, scene.rule, scene.about});
  }
  return list;
}

std::vector<Result> FreeDriver::run(const LockSpec& lock, const Request& request) {
  return Campaigner(lock, request).run();
}

ReplayOutcome FreeDriver::replay(const LockSpec& lock, std::string_view replay_json,
                                 const Request& request) {
  ReplayOutcome outcome;
  gang::Confirmed confirmed;
  ReplayCase replay;
  outcome.error = unfit(lock);
  if (outcome.error.empty()) outcome.error = read_job(lock, replay_json, confirmed.job, replay);
  if (!outcome.error.empty()) return outcome;
  if (const gang::Scene* const scene = gang::find_scene(replay.scenario)) {
    outcome.result = gang::play_scene(*scene, lock, request);
    outcome.of = outcome.result.executions;
    outcome.failed = outcome.result.finding ? outcome.result.finding->failed : 0;
    return outcome;
  }
  confirmed.job.directory = request.work_directory;
  confirmed.breach.rule = replay.rule;
  confirmed.job.latest = request.until + kOverdraw;
  gang::repeat(confirmed, kReplays, kReplayEach, request.until);
  outcome.failed = confirmed.failed;
  outcome.of = confirmed.of;
  outcome.result = base_result(lock, replay.scenario, replay.topology, replay.rule);
  outcome.result.executions = confirmed.of;
  if (confirmed.failed == 0) return outcome;
  outcome.result.verdict = Verdict::kFail;
  outcome.result.finding = finding_of(confirmed);
  return outcome;
}

}  // namespace hobbs
