#include "harness/conform/hunt_calls.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "reports/replay_case.h"

namespace hobbs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr CallTopology kTopologies[] = {CallTopology::kThreads, CallTopology::kFork,
                                        CallTopology::kRawFork, CallTopology::kSpawn,
                                        CallTopology::kMixed};
constexpr std::uint64_t kRunsPerWorld = 40;  // Then a fresh agent, so that nothing piles up.
constexpr std::uint64_t kConfirmations = 4;
constexpr std::uint64_t kSurely = 2;
constexpr std::uint64_t kRepeats = 5;
constexpr int kTriesOfAFlake = 3;
constexpr int kTriesOfUndecided = 3;
constexpr int kShrinkRunsMax = 300;
constexpr std::chrono::seconds kShrinkTime{60};

/// Runs sequence after sequence in worlds that it renews.
class Player {
 public:
  explicit Player(CallSetting setting) : setting_(std::move(setting)) {}

  /// All the moves, and no more.
  CallRun repeat(const Moves& moves) { return play(moves, false, Clock::time_point::max()); }

  CallRun play(const Moves& moves, bool drain, Clock::time_point until) {
    if (++runs_ % kRunsPerWorld == 0) world_.reset();
    setting_.drain = drain;
    setting_.until = until;
    return run_calls(moves, setting_, world_);
  }

 private:
  CallSetting setting_;
  std::unique_ptr<World> world_;
  std::uint64_t runs_ = 0;
};

/// What is known of one topology so far.
struct Progress {
  CallTopology topology;
  std::uint64_t sequences = 0;
  std::uint64_t calls = 0;
  std::uint64_t waits = 0;
  std::uint64_t undecided = 0;
  std::string last_reason;  // Of an inconclusive one.
  std::int64_t duration_ms = 0;
  std::optional<Result> end;  // A finding, or a skip.
};

/// ME of ME-1: whether exclusion is lost to a try or to an acquire is all the same.
std::string_view family(std::string_view rule) { return rule.substr(0, rule.find('-')); }

/// Whether the moves fail in the same way, in one of so many runs.
bool fails_again(Player& player, const Moves& moves, const std::string& rule, int tries) {
  for (int i = 0; i < tries; ++i) {
    const CallRun run = player.repeat(moves);
    if (run.verdict == Verdict::kFail && family(run.rule) == family(rule)) return true;
  }
  return false;
}

class Hunter {
 public:
  explicit Hunter(const CallHunt& hunt) : hunt_(hunt), player_(hunt.setting) {
    for (const CallTopology topology : kTopologies) {
      if (fits(*hunt.setting.lock, topology))
        progress_.push_back({topology, 0, 0, 0, 0, {}, 0, {}});
    }
  }

  std::vector<Result> run() {
    for (std::uint64_t round = 0; round < hunt_.sequences; ++round) {
      for (Progress& one : progress_) {
        if (one.end) continue;
        // Each topology gets its first sequence, which takes little, whatever the time.
        if (round > 0 && Clock::now() >= hunt_.until) return results();
        play(one, round);
        if (one.end && stops_all(*one.end)) return results();
      }
      if (std::all_of(progress_.begin(), progress_.end(),
                      [](const Progress& one) { return one.end.has_value(); })) {
        break;
      }
    }
    return results();
  }

 private:
  bool stops_all(const Result& end) const {
    return end.verdict == Verdict::kSkipped ||
           (end.verdict == Verdict::kFail && hunt_.stop_at_first_finding);
  }

  void play(Progress& one, std::uint64_t round) {
    const auto start = Clock::now();
    const std::uint64_t seed = (hunt_.seed * 0x9e3779b97f4a7c15u + round) * std::size(kTopologies) +
                               static_cast<std::uint64_t>(one.topology);
    const std::size_t length = 6 + round % 4 * 6;
    const AgentLock& lock = *hunt_.setting.lock;
    const Moves moves = round == 0 ? handover_moves(lock, one.topology)
                                   : generate_moves(lock, one.topology, seed, length);
    // The first is short, and says whether anybody ever waits.
    const auto until = round == 0 ? Clock::time_point::max() : hunt_.until;
    CallRun run = player_.play(moves, true, until);
    for (int i = 1; i < kTriesOfUndecided && run.verdict == Verdict::kInconclusive && has_time();
         ++i) {
      run = player_.play(moves, true, until);  // The machine may have been too busy to tell.
    }
    ++one.sequences;
    one.calls += run.calls;
    one.waits += run.waits;
    if (run.verdict == Verdict::kInconclusive) {
      ++one.undecided;
      one.last_reason = run.sentence;
    } else if (run.verdict == Verdict::kSkipped) {
      one.end = base(one, Verdict::kSkipped, run.sentence);
    } else if (run.verdict == Verdict::kFail) {
      take_failure(one, run);
    }
    one.duration_ms +=
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
    hunt_.progress(hunt_.setting.lock->name + " " + std::string(to_string(one.topology)) + ", " +
                   std::to_string(one.sequences) + " sequences");
  }

  bool has_time() const { return Clock::now() < hunt_.until; }

  /// Confirms and shrinks.
  void take_failure(Progress& one, const CallRun& first) {
    hunt_.progress(hunt_.setting.lock->name + " " + first.rule + ": confirming");
    CallRepeats confirmed{0, 0, first};
    // A lock that always fails need not show it often: a call that hangs takes long to judge.
    while (confirmed.of < kConfirmations && has_time() &&
           !(confirmed.of == kSurely && confirmed.failed == kSurely)) {
      confirmed.failed += fails_again(player_, first.made, first.rule, 1) ? 1 : 0;
      ++confirmed.of;
    }
    if (confirmed.failed == 0) {
      ++one.undecided;
      one.last_reason = "seen once, and not in " + std::to_string(confirmed.of) +
                        " runs of the same calls: " + first.sentence;
      return;
    }
    one.end = result_of_calls(hunt_, to_string(one.topology), confirmed);
    hunt_.found(*one.end);  // Kept, should the time end before there is a smaller one.
    const int tries = confirmed.failed == confirmed.of ? 1 : kTriesOfAFlake;
    int runs = 0;
    const auto until = std::min(Clock::now() + kShrinkTime, hunt_.until);
    const Moves small = shrink_moves(first.made, [&](const Moves& moves) {
      if (++runs > kShrinkRunsMax || Clock::now() > until) return false;
      hunt_.progress(hunt_.setting.lock->name + " " + first.rule + ": shrinking, " +
                     std::to_string(moves.size()) + " moves");
      return fails_again(player_, moves, first.rule, tries);
    });
    if (!has_time() && small == first.made) return;
    const CallRepeats repeats = repeat_calls(small, hunt_.setting, has_time() ? kRepeats : 1);
    if (repeats.failed > 0) one.end = result_of_calls(hunt_, to_string(one.topology), repeats);
  }

  Result base(const Progress& one, Verdict verdict, const std::string& reason) const {
    Result result;
    result.lock = hunt_.setting.lock->name;
    result.scenario = "calls";
    result.driver = "conform";
    result.topology = to_string(one.topology);
    result.rule = rules_of_calls(*hunt_.setting.lock);
    result.verdict = verdict;
    result.reason = reason;
    return result;
  }

  std::vector<Result> results() const {
    std::vector<Result> all;
    for (const Progress& one : progress_) {
      if (one.end) {
        all.push_back(*one.end);
      } else {
        all.push_back(judged(one));
        hunt_.found(all.back());
      }
      all.back().executions = one.sequences;
      all.back().duration_ms = one.duration_ms;
      if (one.end && one.end->verdict == Verdict::kSkipped) return {all.back()};
    }
    return all;
  }

  bool any_finding() const {
    return std::any_of(progress_.begin(), progress_.end(), [](const Progress& one) {
      return one.end && one.end->verdict == Verdict::kFail;
    });
  }

  Result judged(const Progress& one) const {
    const std::string done = std::to_string(one.sequences) + " sequences, " +
                             std::to_string(one.calls) + " calls, of which " +
                             std::to_string(one.waits) + " waited";
    if (one.sequences == 0 && any_finding()) {
      return base(one, Verdict::kSkipped,
                  "not run: the lock had a finding already (--keep-going runs on)");
    }
    if (one.sequences == 0) return base(one, Verdict::kInconclusive, "no time for a sequence");
    if (one.undecided > 0) {
      return base(one, Verdict::kInconclusive,
                  std::to_string(one.undecided) + " of " + done + ": " + one.last_reason);
    }
    const bool shared = hunt_.setting.lock->claims.fork == ForkBehaviour::kShared;
    constexpr std::uint32_t kFewPermits = 4;  // More are rarely all taken.
    const Claims& claims = hunt_.setting.lock->claims;
    const bool scarce = !claims.semaphore || claims.permits <= kFewPermits;
    if (one.waits == 0 && scarce && (shared || one.topology == CallTopology::kThreads)) {
      return base(one, Verdict::kInconclusive, "nobody ever had to wait: " + done);
    }
    return base(one, Verdict::kPass, done);
  }

  const CallHunt& hunt_;
  Player player_;
  std::vector<Progress> progress_;
};

}  // namespace

std::string rules_of_calls(const AgentLock& lock) {
  std::string rules = "ME-1,ME-3,LV-1,LV-2";
  const auto offers = [&](Verb verb, Mode mode) { return lock.find(verb, mode) != nullptr; };
  if (offers(Verb::kAcquire, Mode::kShared)) rules += ",RW-1,RW-2";
  if (lock.claims.reentrant) rules += ",RE-1";
  if (offers(Verb::kTry, Mode::kExclusive)) rules += ",TR-2";
  if (offers(Verb::kTimed, Mode::kExclusive)) rules += ",TO-1,TO-2,TO-3,TO-5";
  if (lock.claims.checks_misuse || lock.claims.bounded_release) rules += ",MU-1,MU-2";
  if (lock.forks) rules += ",FK-1";
  return rules;
}

std::vector<Result> hunt_calls(const CallHunt& hunt) { return Hunter(hunt).run(); }

CallRepeats repeat_calls(const Moves& moves, CallSetting setting, std::uint64_t times) {
  CallRepeats repeats;
  Player player(std::move(setting));
  for (std::uint64_t i = 0; i < times; ++i) {
    CallRun run = player.repeat(moves);
    if (run.verdict == Verdict::kInconclusive) continue;
    ++repeats.of;
    const bool failed = run.verdict == Verdict::kFail;
    if (failed || repeats.failed == 0) repeats.run = std::move(run);
    repeats.failed += failed ? 1 : 0;
  }
  return repeats;
}

Result result_of_calls(const CallHunt& hunt, std::string_view topology,
                       const CallRepeats& repeats) {
  const CallRun& run = repeats.run;
  ReplayCase replay;
  replay.lock = hunt.setting.lock->name;
  replay.claims = hunt.setting.lock->claims;
  replay.driver = "conform";
  replay.scenario = "calls";
  replay.rule = run.rule;
  replay.topology = topology;
  replay.seed = hunt.seed;
  replay.options = {{"agent", hunt.agent}, {"calls", to_text(run.made)}};
  Finding finding;
  finding.summary = run.sentence;
  finding.program = to_text(run.made);
  if (!finding.program.empty()) finding.program.pop_back();  // The last end of line.
  finding.history = run.moments;
  finding.evidence = run.evidence;
  finding.failed = repeats.failed;
  finding.of = repeats.of;
  finding.replay_json = to_json(replay);
  Result result;
  result.lock = replay.lock;
  result.scenario = replay.scenario;
  result.driver = replay.driver;
  result.topology = replay.topology;
  result.rule = run.rule;
  result.verdict = repeats.failed > 0 ? Verdict::kFail : Verdict::kPass;
  if (repeats.failed > 0) result.finding = std::move(finding);
  result.executions = repeats.of;
  return result;
}

}  // namespace hobbs
