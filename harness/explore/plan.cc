#include "harness/explore/plan.h"

#include <algorithm>
#include <ctime>

#include "harness/explore/bounded_search.h"
#include "harness/explore/random_walk.h"
#include "harness/explore/strategies.h"
#include "scenarios/suites/drawn_programs.h"

namespace hobbs::explore {
namespace {

constexpr std::uint64_t kFirstSlice = 256;
constexpr std::uint64_t kSliceMax = 1 << 16;
constexpr std::uint32_t kKillPointsMax = 160;
constexpr std::uint64_t kExecutionsPerKillPoint = 12;
constexpr std::uint64_t kFewKills = 32;
constexpr std::uint64_t kFirstFew = 32;
constexpr std::chrono::milliseconds kShrinkTime{1500};
constexpr std::chrono::milliseconds kFirstSearch{20};  // Of a program, to its end or a bound.
constexpr int kNextSearch = 4;                         // Times as long as the one before.
constexpr int kHighestBound = 2;                       // Where none was asked for.

constexpr std::uint64_t kSmallExecutions = 16;  // Of each small program in the first pass.
constexpr std::uint64_t kSmallPasses = 6;       // Are enough if nothing else is left to do.
constexpr std::uint64_t kDrawnExecutions = 64;  // Of each drawn program.
constexpr std::uint64_t kDrawnEnough = 400;     // Programs if nothing else is left to do.

// The parts of the time. Random rounds find most, and what they miss is found by any of the others.
constexpr int kRounds = 6, kEnumerating = 3, kDrawing = 2, kExhausting = 2, kBounding = 2;
constexpr std::chrono::milliseconds kTurn{20};  // Or, if that is more, ...
constexpr int kTurnPart = 16;                   // ... one part in so many of the time up to now.

constexpr std::chrono::milliseconds kFirstRound{250};  // Of the processor's time.
constexpr std::chrono::milliseconds kOverstay{1000};

bool uses_several_locks(const Program& program) {
  return std::ranges::any_of(program.workers, [](const std::vector<Step>& steps) {
    return std::ranges::any_of(steps, [](const Step& step) { return step.lock != 0; });
  });
}

/// Searches begin anew each time: only if there is more time than before.
bool is_more(Clock::duration slice, Clock::duration before) { return 4 * slice > 5 * before; }

/// What this thread has used.
std::chrono::nanoseconds processor_time() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

std::string to_string(MemoryModel model) {
  switch (model) {
    case MemoryModel::kSc: return "sc";
    case MemoryModel::kTso: return "tso";
    case MemoryModel::kC11: return "c11";
  }
  return "?";
}

std::vector<MemoryModel> models_of(const std::string& memory) {
  std::vector<MemoryModel> models;
  for (const MemoryModel model : {MemoryModel::kSc, MemoryModel::kC11, MemoryModel::kTso}) {
    if (memory.empty() || memory == to_string(model)) models.push_back(model);
  }
  return models;
}

Plan::Plan(const LockSpec& lock, const Request& request)
    : lock_(lock),
      request_(request),
      executions_(kFirstSlice),
      exhausting_{&Plan::may_exhaust, &Plan::exhaust_job, 0, kFirstSearch},
      bounding_{&Plan::may_bound, &Plan::search_next_bound, 0, kFirstSearch},
      seed_(request.seed * 0x9e3779b97f4a7c15ull) {
  // The order of system calls is one for all: there is nothing weak about files.
  models_ = lock.home == Home::kPath ? std::vector{MemoryModel::kSc} : models_of(request.memory);
  const auto left = request.until - Clock::now();
  hunt_until_ = request.until - std::min<Clock::duration>(left / 5, kShrinkTime);
  first_round_until_ = processor_time() + kFirstRound;
  make_jobs();
}

/// Whether all executions within a bound were asked for, and no others.
bool Plan::is_bounded() const {
  return request_.preemptions >= 0 || request_.delays >= 0 || request_.strategy == "bounded" ||
         request_.strategy == "delay";
}

/// Some executions of one program; true if the plan is over.
bool Plan::walk_one(const char* family, const Program& program, MemoryModel model,
                    std::uint64_t executions, Clock::time_point until) {
  const auto start = Clock::now();
  const Topology topology = usual_topology(lock_);
  Explorer& explorer = this->explorer(model, topology);
  if (!explorer.load(program).empty()) return false;
  const auto strategy = strategy_for(++walked_);
  Stretch stretch =
      hunt(explorer, program, model, topology, *strategy, executions, std::min(until, hunt_until_));
  coverage(family).duration_ns += (Clock::now() - start).count();
  return note(family, std::move(stretch), program);
}

/// One small program after the other under each memory model.
bool Plan::go_on_with_enumerated(Clock::time_point until) {
  do {
    const Program& program = small_[small_next_ / models_.size()];
    const MemoryModel model = models_[small_next_ % models_.size()];
    if (++small_next_ == small_.size() * models_.size()) {
      small_next_ = 0;
      ++small_passes_;
    }
    const std::uint64_t executions = kSmallExecutions << std::min<std::uint64_t>(small_passes_, 16);
    if (walk_one(kEnumerated, program, model, executions, until)) return true;
  } while (Clock::now() < until);
  return false;
}

/// Programs each drawn anew, under each memory model in turn.
bool Plan::go_on_with_drawn(Clock::time_point until) {
  do {
    const MemoryModel model = models_[drawn_++ % models_.size()];
    ++coverage(kDrawn).programs;
    ++coverage(kDrawn).pairs;
    if (walk_one(kDrawn, drawn_program(lock_, ++seed_), model, kDrawnExecutions, until))
      return true;
  } while (Clock::now() < until);
  return false;
}

Coverage& Plan::coverage(const std::string& family) {
  for (auto& [name, covered] : outcome_.families) {
    if (name == family) return covered;
  }
  return outcome_.families.emplace_back(family, Coverage{}).second;
}

Explorer& Plan::explorer(MemoryModel model, Topology topology) {
  std::unique_ptr<Explorer>& made = explorers_[{model, topology}];
  if (made == nullptr) made = Explorer::create(lock_, model, topology);
  return *made;
}

/// Keeps the books; true if the plan is over.
bool Plan::note(const std::string& family, Stretch&& stretch, const Program& program) {
  Coverage& covered = coverage(family);
  // What is too much of several locks need not be of one.
  if (!stretch.refused.empty() && uses_several_locks(program)) {
    covered.not_of_several = stretch.refused;
    return false;
  }
  covered.executions += stretch.executions;
  covered.cut += stretch.cut;
  if (!stretch.unsettled.empty()) covered.unsettled = stretch.unsettled;
  if (!stretch.refused.empty()) outcome_.refused = stretch.refused;
  if (stretch.caught) {
    stretch.caught->executions = covered.executions;
    outcome_.caught = std::move(stretch.caught);
    outcome_.caught_family = family;
  }
  return over();
}

bool Plan::note_job(Job& job, Stretch&& stretch) {
  const bool refused = !stretch.refused.empty();
  const bool over = note(job.program->family, std::move(stretch), job.program->program);
  if (refused && !over) job.unrunnable = true;
  return over;
}

/// The one that was asked for, or all in turn.
std::unique_ptr<Strategy> Plan::strategy_for(std::uint32_t round) {
  const DrawnStrategy* const named = drawn_strategy(request_.strategy);
  return named != nullptr ? named->make(++seed_, round) : strategy_in_turn(++seed_, round);
}

bool Plan::run_job(Job& job, std::uint64_t executions) {
  const auto start = Clock::now();
  // Programs with long executions must not eat the others' time.
  const auto until = start + std::max(hunt_until_ - start, Clock::duration::zero()) /
                                 static_cast<std::int64_t>(2 * jobs_.size());
  Explorer& explorer = this->explorer(job.model, job.program->topology);
  if (!explorer.load(job.program->program).empty()) {
    job.unrunnable = true;
    return false;
  }
  Stretch stretch = hunt(explorer, job.program->program, job.model, job.program->topology,
                         *strategy_for(round_), executions, until);
  coverage(job.program->family).duration_ns += (Clock::now() - start).count();
  return note_job(job, std::move(stretch));
}

/// Kills the workers of the program's faults at point after point, until they survive their steps.
bool Plan::run_kills(Job& job, std::uint64_t executions, std::uint64_t at_least) {
  const auto start = Clock::now();
  Explorer& explorer = this->explorer(job.model, job.program->topology);
  Random random(++seed_);
  bool over = false;
  for (std::uint64_t done = 0; done < executions && !over && !job.unrunnable &&
                               (done < at_least || Clock::now() < hunt_until_);) {
    Program program = job.program->program;
    program.faults[0].point = job.kill_point;
    for (std::size_t i = 1; i < program.faults.size(); ++i) {
      program.faults[i].point = 1 + random.below(job.kill_point + 24);
    }
    if (!explorer.load(program).empty()) {
      job.unrunnable = true;
      return false;
    }
    std::vector<Event> events;
    explorer.listen(&events);
    RandomWalk walk(++seed_ + round_);
    Stretch first = hunt(explorer, program, job.model, job.program->topology, walk, 1, hunt_until_);
    explorer.listen(nullptr);
    const bool died = std::any_of(events.begin(), events.end(), [](const Event& event) {
      return event.kind == Event::Kind::kDeath;
    });
    done += first.executions;
    over = note_job(job, std::move(first));
    if (!over && died) {
      Stretch more = hunt(explorer, program, job.model, job.program->topology, walk,
                          kExecutionsPerKillPoint, hunt_until_);
      done += more.executions;
      over = note_job(job, std::move(more));
    }
    job.kill_point = died && job.kill_point < kKillPointsMax ? job.kill_point + 1 : 1;
  }
  coverage(job.program->family).duration_ns += (Clock::now() - start).count();
  return over;
}

/// `at_least`: so many deaths, even if the time is up.
bool Plan::run_any(Job& job, std::uint64_t executions, std::uint64_t at_least) {
  return job.program->kills ? run_kills(job, executions, at_least) : run_job(job, executions);
}

/// The first round may end late: a little of every program is worth more than punctuality, and on
/// a loaded machine it is due to others that it took so long. Hence it is limited by the
/// processor's time, and by what a slice may overstay without being ended.
bool Plan::first_round_over_time() const {
  const bool late = processor_time() >= first_round_until_;
  return Clock::now() >= (late ? hunt_until_ : request_.until + kOverstay);
}

/// First of all a few executions of every family; two deaths only after one was tried in earnest,
/// which explains more.
bool Plan::run_first_round() {
  for (Job& job : jobs_) {
    const ControlledProgram& program = *job.program;
    if (program.program.faults.size() > 1 || coverage(program.family).executions != 0) continue;
    if (first_round_over_time() || run_any(job, kFirstFew, kFewKills)) return true;
  }
  for (Job& job : jobs_) {
    if (first_round_over_time() || run_any(job, kFirstSlice, kFewKills)) return true;
  }
  ++round_;
  executions_ *= 2;
  return false;
}

bool Plan::rounds_wanted() const {
  return std::any_of(jobs_.begin(), jobs_.end(), [](const Job& job) { return !job.done(); });
}

bool Plan::go_on_with_rounds(Clock::time_point until) {
  do {
    if (round_next_ == jobs_.size()) {
      if (!rounds_wanted()) return false;
      round_next_ = 0;
      ++round_;
      executions_ = std::min(2 * executions_, kSliceMax);
    }
    Job& job = jobs_[round_next_++];
    if (job.done()) continue;
    if (Clock::now() >= hunt_until_ || run_any(job, executions_)) return true;
  } while (Clock::now() < until);
  return false;
}

Bounds Plan::bounds() const {
  const bool by_delays = request_.delays >= 0 || request_.strategy == "delay";
  return by_delays ? Bounds::kDelays : Bounds::kPreemptions;
}

/// All executions of one program up to a bound; true if the plan is over.
bool Plan::search_job(Job& job, int bound, Clock::time_point until) {
  const auto start = Clock::now();
  Explorer& explorer = this->explorer(job.model, job.program->topology);
  if (!explorer.load(job.program->program).empty()) {
    job.unrunnable = true;
    return false;
  }
  BoundedSearch search(bound, bounds());
  Stretch stretch = hunt(explorer, job.program->program, job.model, job.program->topology, search,
                         UINT64_MAX, std::min(until, hunt_until_));
  coverage(job.program->family).duration_ns += (Clock::now() - start).count();
  if (stretch.exhausted) job.searched = bound;
  return note_job(job, std::move(stretch));
}

/// What was asked for: all programs up to one bound, or with 0, then 1, then 2 preemptions (or
/// delays), within a slice of time each.
void Plan::search_within_bounds() {
  const int only = bounds() == Bounds::kDelays ? request_.delays : request_.preemptions;
  for (int bound = std::max(only, 0); bound <= std::max(only, kHighestBound); ++bound) {
    bool all = true;
    for (Job& job : jobs_) {
      if (job.program->kills || job.unrunnable) continue;
      const auto now = Clock::now();
      if (now >= hunt_until_) return;
      const auto until = only >= 0 ? hunt_until_ : now + (hunt_until_ - now) / 16;
      if (search_job(job, bound, until)) return;
      all = all && (job.unrunnable || job.searched == bound);
    }
    if (!all || only >= 0) return;
  }
}

/// Of one program among others: no more than a part of the time that is left.
Clock::duration Plan::longest_search() const {
  const auto left = hunt_until_ - Clock::now();
  return request_.strategy == "exhaustive" ? left
                                           : std::max<Clock::duration>(left / 8, kFirstSearch);
}

bool Plan::wanted(const Laps& laps) const {
  return std::any_of(jobs_.begin(), jobs_.end(), [&, slice = longest_search()](const Job& job) {
    return (this->*laps.may)(job, slice);
  });
}

bool Plan::go_on(Laps& laps, Clock::time_point until) {
  do {
    if (laps.next == jobs_.size()) {
      if (!wanted(laps)) return false;
      laps.next = 0;
      laps.slice = std::min(kNextSearch * laps.slice, longest_search());
    }
    Job& job = jobs_[laps.next++];
    if (Clock::now() >= hunt_until_) return true;
    const auto slice = std::min(laps.slice, longest_search());
    if ((this->*laps.may)(job, slice) && (this->*laps.search)(job, slice)) return true;
  } while (Clock::now() < until);
  return false;
}

bool Plan::may_bound(const Job& job, Clock::duration slice) const {
  return !job.done() && !job.program->kills && job.searched < kHighestBound &&
         is_more(slice, job.bounding);
}

bool Plan::search_next_bound(Job& job, Clock::duration slice) {
  const int bound = job.searched + 1;
  const bool over = search_job(job, bound, Clock::now() + slice);
  job.bounding = job.searched == bound ? Clock::duration::zero() : slice;
  return over;
}

/// Of how many programs of each family all executions up to the highest bound were judged.
void Plan::tell_bounds() {
  for (const Job& job : jobs_) {
    Coverage& covered = coverage(job.program->family);
    covered.bounds = bounds();
    if (job.searched > covered.bound) covered.searched = 0;
    covered.bound = std::max(covered.bound, job.searched);
    if (job.searched >= 0 && job.searched == covered.bound) ++covered.searched;
  }
}

/// All executions of one program under one model; true if the plan is over.
bool Plan::exhaust_job(Job& job, Clock::duration slice) {
  const auto start = Clock::now();
  job.exhausting = slice;
  Coverage& covered = coverage(job.program->family);
  Explorer& explorer = this->explorer(job.model, job.program->topology);
  if (!explorer.load(job.program->program).empty() || explorer.preset_broken() != nullptr) {
    job.exhaustible = false;
    return false;
  }
  graph::Exhausted found =
      graph::exhaust(lock_, job.program->program, job.model, job.program->topology, explorer,
                     std::min(hunt_until_, start + slice), &known_workers_[job.program]);
  job.exhausted = found.complete;
  job.exhaustible = found.timed_out;
  job.sleeps = found.sleeps;
  if (found.complete) {
    ++covered.exhausted;
    covered.all_executions += found.executions;
  } else {
    covered.not_exhausted = found.why_not;
  }
  covered.duration_ns += (Clock::now() - start).count();
  Stretch stretch;
  stretch.executions = found.executions;
  stretch.caught = std::move(found.caught);
  return note(job.program->family, std::move(stretch), job.program->program);
}

bool Plan::may_exhaust(const Job& job, Clock::duration slice) const {
  return !job.exhausted && job.exhaustible && !job.unrunnable && is_more(slice, job.exhausting);
}

/// Whether all executions of the programs were judged, and enough of those that are only walked.
bool Plan::nothing_left() const {
  if (!small_.empty() && small_passes_ < kSmallPasses) return false;
  if (draws_ && drawn_ < kDrawnEnough) return false;
  return !rounds_wanted();
}

/// Always goes on with the kind of search that has had the least of its part.
void Plan::run_by_shares() {
  std::vector<Work> works = {{kRounds, &Plan::rounds_wanted, &Plan::go_on_with_rounds}};
  if (request_.strategy.empty()) {
    works.push_back({kExhausting, &Plan::exhaustion_wanted, &Plan::go_on_exhausting});
    works.push_back({kBounding, &Plan::bounds_wanted, &Plan::go_on_with_bounds});
  }
  works.push_back({kEnumerating, &Plan::enumerated_wanted, &Plan::go_on_with_enumerated});
  works.push_back({kDrawing, &Plan::drawn_wanted, &Plan::go_on_with_drawn});
  const auto begun = Clock::now();
  const auto over = [this] { return request_.strategy.empty() && nothing_left(); };
  for (auto now = begun; now < hunt_until_ && !over(); now = Clock::now()) {
    Work* next = nullptr;
    for (Work& work : works) {
      if (!(this->*work.wanted)()) continue;
      if (next == nullptr || work.spent * next->weight < next->spent * work.weight) next = &work;
    }
    if (next == nullptr) return;
    request_.progress("explore " + lock_.name + ", round " + std::to_string(round_ + 1));
    const auto turn = std::max<Clock::duration>(kTurn, (now - begun) / kTurnPart);
    if ((this->*next->go_on)(std::min(hunt_until_, now + turn))) return;
    next->spent += Clock::now() - now;
  }
}

PlanOutcome Plan::run() {
  if (jobs_.empty() && small_.empty() && !draws_) return std::move(outcome_);
  if (is_bounded()) {
    search_within_bounds();
  } else if (request_.strategy == "exhaustive") {
    while (exhaustion_wanted() && !go_on_exhausting(hunt_until_)) {
    }
  } else {
    request_.progress("explore " + lock_.name + ", round 1");
    if (!run_first_round()) run_by_shares();
    // At least a little of each, however late it is.
    for (Job& job : jobs_) {
      const bool none = coverage(job.program->family).executions == 0 && !job.unrunnable;
      if (!over() && none) run_any(job, kFirstFew, kFewKills);
    }
    if (!over() && enumerated_wanted() && coverage(kEnumerated).executions == 0) {
      go_on_with_enumerated(Clock::now() + kTurn);
    }
    if (!over() && drawn_wanted() && coverage(kDrawn).executions == 0) {
      go_on_with_drawn(Clock::now() + kTurn);
    }
  }
  tell_bounds();
  return std::move(outcome_);
}

}  // namespace hobbs::explore
