#include "harness/foreign/search.h"

#include <algorithm>
#include <system_error>

#include "harness/explore/bounded_search.h"
#include "harness/explore/guided.h"
#include "harness/foreign/remote.h"

namespace hobbs::foreign {
namespace {

using Clock = std::chrono::steady_clock;
using explore::BoundedSearch;

constexpr std::uint64_t kRepetitions = 2;
constexpr int kTriesOfUndecided = 3;
constexpr std::uint64_t kUndecidedMax = 3;  // Then the search is not worth its time.
constexpr std::uint64_t kRunsPerStage = 200;
constexpr std::uint64_t kUnguardedMax = 200;
constexpr std::uint32_t kDeathsMax = 200;
constexpr int kPreemptionsBesideADeath = 1;
constexpr std::chrono::milliseconds kPatienceWithPollers{3'000};

class Search {
 public:
  Search(const StageSetting& setting, const NamedProgram& named, const SearchOptions& options)
      : setting_(setting), named_(named), options_(options) {}

  SearchReport run() {
    try {
      if (named_.death) {
        search_deaths();
      } else {
        search_bounds(named_.program);
      }
    } catch (const NoStage& why) {
      report_.end = SearchReport::End::kNoStage;
      report_.no_stage = why;
    }
    if (divergences_ > 0 && report_.reason.empty()) {
      report_.reason = count(divergences_, "time") +
                       " a process did not repeat itself, so that schedules may have been missed";
    }
    report_.points = calls_at_.size() + accesses_at_.size();
    report_.done = done_text();
    return std::move(report_);
  }

 private:
  bool ended() const { return report_.end != SearchReport::End::kComplete; }

  /// Fewest preemptions first, so that what is found has no more than it needs.
  void search_bounds(const Program& program) {
    for (int bound = 0; bound <= options_.preemptions && !ended(); ++bound) {
      search_within(program, bound);
      if (!ended()) bound_done_ = bound;
    }
  }

  /// The first worker dies instead of its first, second, ... step, until it has none left.
  void search_deaths() {
    const int most = std::min(options_.preemptions, kPreemptionsBesideADeath);
    for (int bound = 0; bound <= most && !ended(); ++bound) {
      std::uint32_t point = 1;
      for (; point <= kDeathsMax && !ended(); ++point) {
        Program program = named_.program;
        program.faults = {{Fault::Kind::kKillProcess, 0, point}};
        struck_ = false;
        search_within(program, bound);
        if (!struck_) break;
      }
      if (ended()) return;
      bound_done_ = bound;
      deaths_ = point - 1;
    }
  }

  /// A free lock may still remember who had it. Once a process does not repeat itself, the search
  /// begins again, with a new lock for each execution.
  void search_within(const Program& program, int bound) {
    while (!ended() && !search_once(program, bound)) fresh_ = true;
  }

  /// False: it is to begin again.
  bool search_once(const Program& program, int bound) {
    BoundedSearch strategy(bound);
    while (!ended() && strategy.begin()) {
      if (Clock::now() >= options_.until) {
        report_.end = SearchReport::End::kLimit;
        return true;
      }
      options_.progress(count(static_cast<std::size_t>(bound), "preemption") + ", " +
                        count(report_.executions, "schedule"));
      try_one(program, bound, strategy);
      if (strategy.divergences() > 0 && !fresh_) return ended();
    }
    divergences_ += strategy.divergences();
    return true;
  }

  void try_one(const Program& program, int bound, explore::Strategy& strategy) {
    std::string undecided;
    Played played = play_once(program, strategy);
    strategy.end();
    std::optional<Breakage> breakage = breakage_of(played, *setting_.lock, undecided);
    // What would have followed one that was cut short is not searched: no repetition mends that.
    for (int i = 1; played.whole && i < kTriesOfUndecided && !breakage && !undecided.empty(); ++i) {
      undecided.clear();
      explore::Outline again(played.schedule);  // The machine may have been too busy to tell.
      again.begin();
      const Played repeated = play_once(program, again);
      breakage = breakage_of(repeated, *setting_.lock, undecided);
    }
    ++report_.executions;
    if (breakage) {
      confirm(program, bound, played, *breakage);
    } else if (!undecided.empty()) {
      doubt(undecided);
    }
  }

  void doubt(const std::string& reason) {
    report_.reason = reason;
    if (++undecided_ >= kUndecidedMax) report_.end = SearchReport::End::kUndecided;
  }

  /// An execution on the stage that is there, or a fresh one. What the processes do wrong is told
  /// as undecided.
  Played play_once(const Program& program, explore::Strategy& strategy) {
    Played played;
    try {
      set_stage(program.workers.size());
      played = play(*stage_, *setting_.lock, program, strategy, {.memory = options_.memory});
      clean_ = played.clean;
    } catch (const TraceRefused& why) {
      throw NoStage{Verdict::kSkipped, why.what()};
    } catch (const std::runtime_error& why) {  // Lost, AgentFault, Undecided, system_error.
      played.end = Played::End::kUndecided;
      played.reason = why.what();
      stage_.reset();
    }
    calls_at_.merge(played.calls_at);
    accesses_at_.merge(played.accesses_at);
    waits_ += played.waits;
    struck_ = struck_ || !played.history.disturbances.empty();
    return played;
  }

  void set_stage(std::size_t workers) {
    if (++runs_ % kRunsPerStage == 0) stage_.reset();
    if (stage_ != nullptr) return stage_->renew(clean_ && !fresh_);
    stage_ = std::make_unique<Stage>(setting_, workers);
  }

  void confirm(const Program& program, int bound, const Played& played, const Breakage& breakage) {
    stage_.reset();
    Found found{program, played.schedule, bound, breakage, {}, 0, kRepetitions};
    for (std::uint64_t i = 0; i < kRepetitions; ++i) {
      const Replayed again = replay(setting_, program, played.schedule, options_.memory);
      if (!again.breakage || again.breakage->rule != breakage.rule) continue;
      ++found.again;
      found.breakage = *again.breakage;
      found.story = again.story;
    }
    if (found.again < kRepetitions) {
      return doubt("seen once, and in " + std::to_string(found.again) + " of " +
                   std::to_string(kRepetitions) + " repetitions: " + breakage.summary);
    }
    if (played.end == Played::End::kDied && options_.memory && !dies_unguarded(program, bound)) {
      return doubt(
          "a process ended only while its shared memory was watched, which may have been "
          "the reason: " +
          breakage.summary);
    }
    report_.end = SearchReport::End::kFound;
    report_.found = std::move(found);
  }

  /// What memory without rights does to a process nobody shall be blamed for.
  bool dies_unguarded(const Program& program, int most) {
    std::uint64_t tries = 0;
    for (int bound = 0; bound <= most; ++bound) {
      BoundedSearch strategy(bound);
      while (strategy.begin() && ++tries <= kUnguardedMax && Clock::now() < options_.until) {
        try {
          set_stage(program.workers.size());
          const Played played = play(*stage_, *setting_.lock, program, strategy, {.memory = false});
          clean_ = played.clean;
          if (played.end == Played::End::kDied) return true;
        } catch (const std::runtime_error&) {
          stage_.reset();
        }
        strategy.end();
      }
    }
    return false;
  }

  static std::string count(std::size_t number, const std::string& what) {
    return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
  }

  std::string done_text() const {
    std::string text;
    if (!ended() || bound_done_ >= 0) {
      text = "all schedules with at most " +
             count(static_cast<std::size_t>(bound_done_), "preemption");
      if (named_.death) text += " and a death at each of " + count(deaths_, "point");
      if (ended()) text += "; ";
    }
    text += (ended() ? "in all " : ", in ") + count(report_.executions, "execution");
    text += ", held at " + count(calls_at_.size(), "system call") + " and " +
            std::to_string(accesses_at_.size()) +
            (accesses_at_.size() == 1 ? " access" : " accesses") + " to shared memory; in " +
            count(waits_, "call") + " somebody waited";
    if (fresh_) text += "; each with a new lock";
    return text;
  }

  const StageSetting& setting_;
  const NamedProgram& named_;
  const SearchOptions& options_;
  SearchReport report_;
  std::unique_ptr<Stage> stage_;
  bool clean_ = false;  // How the last execution left it.
  bool fresh_ = false;  // Each execution gets a new lock and new processes.
  std::uint64_t runs_ = 0, undecided_ = 0, waits_ = 0, divergences_ = 0;
  std::uint32_t deaths_ = 0;
  bool struck_ = false;  // Somebody was killed since the death's point was chosen.
  int bound_done_ = -1;
  std::set<std::uint64_t> calls_at_, accesses_at_;
};

}  // namespace

SearchReport search(const StageSetting& setting, const NamedProgram& program,
                    const SearchOptions& options) {
  SearchReport report = Search(setting, program, options).run();
  const bool searched_all = report.end == SearchReport::End::kComplete;
  if (searched_all && !report.reason.empty()) report.end = SearchReport::End::kUndecided;
  return report;
}

Replayed replay(const StageSetting& setting, const Program& program,
                const explore::Schedule& schedule, bool memory) {
  Replayed replayed;
  try {
    Places places;
    Stage stage(setting, program.workers.size());
    explore::Replay strategy(schedule);
    strategy.begin();
    Played played = play(stage, *setting.lock, program, strategy,
                         {.memory = memory, .places = &places, .patience = kPatienceWithPollers});
    replayed.breakage = breakage_of(played, *setting.lock, replayed.undecided);
    replayed.story = std::move(played.story);
    const bool decided = !replayed.breakage && replayed.undecided.empty();
    if (decided && played.schedule.size() < schedule.size()) {
      replayed.undecided = "the execution ended before its schedule did";
    }
  } catch (const NoStage& why) {
    replayed.undecided = why.reason;
  } catch (const std::runtime_error& why) {
    replayed.undecided = why.what();
  }
  return replayed;
}

}  // namespace hobbs::foreign
