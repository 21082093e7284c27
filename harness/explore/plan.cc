#include "harness/explore/plan.h"

#include <algorithm>
#include <ctime>

#include "harness/explore/bounded_search.h"
#include "harness/explore/random_walk.h"
#include "harness/explore/strategies.h"
#include "harness/glob.h"
#include "scenarios/suites/drawn_programs.h"
#include "scenarios/suites/small_programs.h"

namespace hobbs::explore {
namespace {

constexpr std::uint64_t kFirstSlice = 256;
constexpr std::uint64_t kSliceMax = 1 << 16;
constexpr std::uint32_t kKillPointsMax = 160;
constexpr std::uint64_t kExecutionsPerKillPoint = 12;
constexpr std::uint64_t kFewKills = 32;
constexpr std::uint64_t kFirstFew = 32;
constexpr std::chrono::milliseconds kShrinkTime{1500};
constexpr std::chrono::milliseconds kFirstExhaustion{20};  // A program, at first.
constexpr std::uint32_t kRoundOfExhaustion = 1;  // The random rounds before find most bugs.

constexpr const char* kEnumerated = "enumerated";
constexpr const char* kDrawn = "drawn";
constexpr std::uint64_t kSmallExecutions = 16;  // Of each small program in the first pass.
constexpr std::uint64_t kSmallPasses = 6;       // Are enough if nothing else is left to do.
constexpr int kSmallShare = 4;                  // Of the time of all others, one part in so many.
constexpr std::chrono::milliseconds kSmallShareMin{20};
constexpr std::uint64_t kDrawnExecutions = 64;  // Of each drawn program.
constexpr std::uint64_t kDrawnEnough = 400;     // Programs if nothing else is left to do.

constexpr std::chrono::milliseconds kFirstRound{250};  // Of the processor's time.
constexpr std::chrono::milliseconds kOverstay{1000};

bool uses_several_locks(const Program& program) {
  return std::ranges::any_of(program.workers, [](const std::vector<Step>& steps) {
    return std::ranges::any_of(steps, [](const Step& step) { return step.lock != 0; });
  });
}

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
    : lock_(lock), request_(request), seed_(request.seed * 0x9e3779b97f4a7c15ull) {
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

/// Why what was asked for by name cannot be run as it was named; empty if it can.
std::string Plan::refusal() const {
  if (request_.kills == 0) return "";
  if (lock_.claims.crash == CrashBehaviour::kStuck) {
    return "the lock promises nothing for the case that a worker dies";
  }
  if (is_bounded()) {
    return "a bounded search kills nobody";
  }
  const bool named = request_.workers != 0 || request_.acquisitions != 0;
  if (named && request_.kills > (request_.workers == 0 ? 2 : request_.workers)) {
    return "more deaths than workers";
  }
  return "";
}

void Plan::make_jobs() {
  outcome_.refused = refusal();
  if (!outcome_.refused.empty()) {
    coverage("named");
    return;
  }
  if (request_.workers != 0 || request_.acquisitions != 0) {
    ControlledProgram named;
    named.family = "named";
    named.topology = usual_topology(lock_);
    named.rules = "ME-1,ME-2,MM-1,LV-1,LV-2";
    named.program = plain_program(request_.workers == 0 ? 2 : request_.workers,
                                  std::max(1u, request_.acquisitions));
    for (std::uint32_t k = 0; k < request_.kills; ++k) {
      named.program.faults.push_back({Fault::Kind::kKillProcess, static_cast<std::uint8_t>(k), 1});
    }
    named.kills = request_.kills > 0;
    if (named.kills) named.rules += ",CR-1,CR-3,CR-5,CR-6,CR-7,CR-8";
    outcome_.refused = explorer(MemoryModel::kSc, named.topology).load(named.program);
    if (!outcome_.refused.empty()) {
      coverage(named.family).rules = named.rules;
      return;
    }
    programs_.push_back(std::move(named));
  } else {
    programs_ = controlled_programs(lock_);
  }
  if (request_.kills > 0) {
    std::erase_if(programs_, [](const ControlledProgram& program) { return !program.kills; });
  }
  std::erase_if(programs_, [this](const ControlledProgram& program) {
    return !glob_match(request_.scenarios, "controlled/" + program.family) ||
           !glob_match_any(request_.rules, program.rules) ||
           (program.relocks && !waits_for_itself(program));
  });
  for (const ControlledProgram& program : programs_) {
    Coverage& covered = coverage(program.family);
    covered.rules = program.rules;
    covered.exhaustive = request_.strategy == "exhaustive";
    ++covered.programs;
  }
  for (const MemoryModel model : models_) {
    for (const ControlledProgram& program : programs_) {
      Job& job = jobs_.emplace_back();
      job.program = &program;
      job.model = model;
      Coverage& covered = coverage(program.family);
      ++covered.pairs;
      // A search of what each read reads takes executions for one that differ in who came first.
      if (model == MemoryModel::kSc && glob_match_any("FA-*", program.rules)) {
        job.exhaustible = false;
        covered.not_exhausted = "who is passed by whom is judged by walks alone";
      }
    }
  }
  add_walked_programs();
  if (programs_.empty()) outcome_.refused = why_no_program();
  if (!outcome_.refused.empty()) coverage("named");
}

/// If it is for what was asked for besides scenarios that none of their programs can be run: why.
std::string Plan::why_no_program() const {
  if (!small_.empty() || draws_) return "";
  if (request_.workers != 0 || request_.acquisitions != 0) {
    return "the program that --workers and --acquisitions name is the scenario controlled/named, "
           "which --scenarios or --rules leaves out";
  }
  const bool walked = glob_match(request_.scenarios, std::string("controlled/") + kEnumerated) ||
                      glob_match(request_.scenarios, std::string("controlled/") + kDrawn);
  if (walked && (is_bounded() || request_.strategy == "exhaustive")) {
    return "the programs of controlled/enumerated and controlled/drawn are for strategies that "
           "draw; no search that has an end is made of them";
  }
  if (walked && request_.kills != 0) return "nobody dies in the programs of these scenarios";
  return "";
}

/// All small programs, and drawn ones, unless other ones were asked for.
void Plan::add_walked_programs() {
  const bool named = request_.workers != 0 || request_.acquisitions != 0 || request_.kills != 0;
  const bool ends = is_bounded() || request_.strategy == "exhaustive";
  if (named || ends || !glob_match_any(request_.rules, small_program_rules(lock_))) return;
  const auto wanted = [this](const char* family) {
    return glob_match(request_.scenarios, std::string("controlled/") + family);
  };
  if (wanted(kEnumerated)) small_ = small_programs(lock_);
  if (!small_.empty()) {
    Coverage& covered = coverage(kEnumerated);
    covered.rules = small_program_rules(lock_);
    covered.programs = static_cast<std::uint32_t>(small_.size());
    covered.pairs = covered.programs * static_cast<std::uint32_t>(models_.size());
  }
  draws_ = wanted(kDrawn) && !drawn_program(lock_, 0).workers.empty();
  if (draws_) coverage(kDrawn).rules = small_program_rules(lock_);
}

/// Some executions of one program; true if the plan is over.
bool Plan::walk_one(const char* family, const Program& program, MemoryModel model,
                    std::uint64_t executions, Clock::time_point until) {
  const Topology topology = usual_topology(lock_);
  Explorer& explorer = this->explorer(model, topology);
  if (!explorer.load(program).empty()) return false;
  const auto strategy = strategy_for(++walked_);
  return note(family, hunt(explorer, program, model, topology, *strategy, executions, until),
              program);
}

/// walk() again and again for so long, at least once; true if the plan is over.
template <class Walk>
bool Plan::keep_walking(const char* family, Clock::duration share, Walk walk) {
  const auto start = Clock::now();
  const auto until =
      std::min(hunt_until_, start + std::max<Clock::duration>(share, kSmallShareMin));
  bool over = false;
  do over = walk(until);
  while (!over && Clock::now() < until);
  coverage(family).duration_ns += (Clock::now() - start).count();
  return over;
}

/// One small program after the other under each memory model.
bool Plan::run_enumerated(Clock::duration share) {
  if (small_.empty()) return false;
  return keep_walking(kEnumerated, share, [this](Clock::time_point until) {
    const Program& program = small_[small_next_ / models_.size()];
    const MemoryModel model = models_[small_next_ % models_.size()];
    if (++small_next_ == small_.size() * models_.size()) {
      small_next_ = 0;
      ++small_passes_;
    }
    return walk_one(kEnumerated, program, model,
                    kSmallExecutions << std::min<std::uint64_t>(small_passes_, 16), until);
  });
}

/// Programs each drawn anew, under each memory model in turn.
bool Plan::run_drawn(Clock::duration share) {
  if (!draws_) return false;
  return keep_walking(kDrawn, share, [this](Clock::time_point until) {
    const MemoryModel model = models_[drawn_++ % models_.size()];
    ++coverage(kDrawn).programs;
    ++coverage(kDrawn).pairs;
    return walk_one(kDrawn, drawn_program(lock_, ++seed_), model, kDrawnExecutions, until);
  });
}

/// Whether the first worker alone sleeps for ever, in every execution in which nothing wakes it.
bool Plan::waits_for_itself(const ControlledProgram& program) {
  Program alone = program.program;
  alone.workers.resize(1);
  Explorer& explorer = this->explorer(MemoryModel::kSc, program.topology);
  if (!explorer.load(alone).empty()) return false;
  const graph::Exhausted all = graph::exhaust(lock_, alone, MemoryModel::kSc, program.topology,
                                              explorer, Clock::now() + kFirstExhaustion);
  return all.complete && all.sleeps && !all.caught;
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
  return outcome_.caught || !outcome_.refused.empty();
}

/// The one that was asked for, or all in turn.
std::unique_ptr<Strategy> Plan::strategy_for(std::uint32_t round) {
  const DrawnStrategy* const named = drawn_strategy(request_.strategy);
  return named != nullptr ? named->make(++seed_, round) : strategy_in_turn(++seed_, round);
}

bool Plan::run_job(Job& job, std::uint32_t number, std::uint64_t executions) {
  const auto start = Clock::now();
  // Programs with long executions must not eat the others' time.
  const auto until = start + std::max(hunt_until_ - start, Clock::duration::zero()) /
                                 static_cast<std::int64_t>(2 * jobs_.size());
  Explorer& explorer = this->explorer(job.model, job.program->topology);
  if (!explorer.load(job.program->program).empty()) return false;
  Stretch stretch = hunt(explorer, job.program->program, job.model, job.program->topology,
                         *strategy_for(number), executions, until);
  coverage(job.program->family).duration_ns += (Clock::now() - start).count();
  return note(job.program->family, std::move(stretch), job.program->program);
}

/// Kills the workers of the program's faults at point after point, until they survive their steps.
bool Plan::run_kills(Job& job, std::uint32_t number, std::uint64_t executions) {
  const auto start = Clock::now();
  Explorer& explorer = this->explorer(job.model, job.program->topology);
  Random random(++seed_);
  bool over = false;
  const std::uint64_t at_least = number == 0 ? kFewKills : 0;  // As out_of_time().
  for (std::uint64_t done = 0;
       done < executions && !over && (done < at_least || Clock::now() < hunt_until_);) {
    Program program = job.program->program;
    program.faults[0].point = job.kill_point;
    for (std::size_t i = 1; i < program.faults.size(); ++i) {
      program.faults[i].point = 1 + random.below(job.kill_point + 24);
    }
    if (!explorer.load(program).empty()) return false;
    std::vector<Event> events;
    explorer.listen(&events);
    RandomWalk walk(++seed_ + number);
    Stretch first = hunt(explorer, program, job.model, job.program->topology, walk, 1, hunt_until_);
    explorer.listen(nullptr);
    const bool died = std::any_of(events.begin(), events.end(), [](const Event& event) {
      return event.kind == Event::Kind::kDeath;
    });
    done += first.executions;
    over = note(job.program->family, std::move(first), program);
    if (!over && died) {
      Stretch more = hunt(explorer, program, job.model, job.program->topology, walk,
                          kExecutionsPerKillPoint, hunt_until_);
      done += more.executions;
      over = note(job.program->family, std::move(more), program);
    }
    job.kill_point = died && job.kill_point < kKillPointsMax ? job.kill_point + 1 : 1;
  }
  coverage(job.program->family).duration_ns += (Clock::now() - start).count();
  return over;
}

/// The first round may end late: a little of every program is worth more than punctuality, and on
/// a loaded machine it is due to others that it took so long. Hence it is limited by the
/// processor's time, and by what a slice may overstay without being ended.
bool Plan::out_of_time(std::uint32_t round) const {
  const bool first = round == 0 && processor_time() < first_round_until_;
  return Clock::now() >= (first ? request_.until + kOverstay : hunt_until_);
}

bool Plan::round(std::uint32_t number, std::uint64_t executions) {
  // First of all a few executions of every family; two deaths only after one was tried in earnest,
  // which explains more.
  for (Job& job : jobs_) {
    const ControlledProgram& program = *job.program;
    if (number != 0 || program.program.faults.size() > 1) continue;
    if (coverage(program.family).executions != 0) continue;
    if (out_of_time(number)) return true;
    if (program.kills ? run_kills(job, number, kFirstFew) : run_job(job, number, kFirstFew)) {
      return true;
    }
  }
  for (Job& job : jobs_) {
    if (out_of_time(number)) return true;
    const bool over =
        job.program->kills ? run_kills(job, number, executions) : run_job(job, number, executions);
    if (over) return true;
  }
  return false;
}

/// All executions of the programs with 0, then 1, then 2 preemptions (or delays, if those were
/// asked for), within a slice of time each.
bool Plan::search_systematically() {
  const bool by_delays = request_.delays >= 0 || request_.strategy == "delay";
  const Bounds bounds = by_delays ? Bounds::kDelays : Bounds::kPreemptions;
  const int only = by_delays ? request_.delays : request_.preemptions;
  const int highest = only >= 0 ? only : 2;
  for (int bound = only >= 0 ? only : 0; bound <= highest; ++bound) {
    bool all = true;
    std::map<std::string, std::uint32_t> searched;
    for (Job& job : jobs_) {
      if (job.program->kills) continue;
      const auto start = Clock::now();
      if (start >= hunt_until_) return false;
      Explorer& explorer = this->explorer(job.model, job.program->topology);
      if (!explorer.load(job.program->program).empty()) continue;
      BoundedSearch search(bound, bounds);
      const auto slice = only >= 0 ? Clock::duration::max() : (hunt_until_ - start) / 16;
      const auto until = only >= 0 ? hunt_until_ : std::min(hunt_until_, start + slice);
      Stretch stretch = hunt(explorer, job.program->program, job.model, job.program->topology,
                             search, UINT64_MAX, until);
      coverage(job.program->family).duration_ns += (Clock::now() - start).count();
      all = all && stretch.exhausted;
      if (stretch.exhausted) ++searched[job.program->family];
      if (note(job.program->family, std::move(stretch), job.program->program)) return true;
    }
    for (const auto& [family, count] : searched) {
      Coverage& covered = coverage(family);
      covered.bound = bound;
      covered.bounds = bounds;
      covered.searched = count;
    }
    if (!all) return false;
  }
  return false;
}

/// All executions of one program under one model; true if the plan is over.
bool Plan::exhaust_job(Job& job, Clock::time_point until) {
  const auto start = Clock::now();
  Coverage& covered = coverage(job.program->family);
  Explorer& explorer = this->explorer(job.model, job.program->topology);
  if (!explorer.load(job.program->program).empty() || explorer.preset_broken() != nullptr) {
    job.exhaustible = false;
    return false;
  }
  graph::Exhausted found =
      graph::exhaust(lock_, job.program->program, job.model, job.program->topology, explorer, until,
                     &known_workers_[job.program]);
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

/// All executions of every program, as far as that takes no longer than `slice` for one.
bool Plan::exhaust(Clock::duration slice) {
  for (Job& job : jobs_) {
    if (job.exhausted || !job.exhaustible) continue;
    const auto now = Clock::now();
    if (now >= hunt_until_) return true;
    if (exhaust_job(job, std::min(hunt_until_, now + slice))) return true;
  }
  return false;
}

/// Whether all executions of the programs were judged, and enough of those that are only walked.
/// (A futex wait that ends for no reason is not among all executions.)
bool Plan::nothing_left() const {
  if (!small_.empty() && small_passes_ < kSmallPasses) return false;
  if (draws_ && drawn_ < kDrawnEnough) return false;
  return std::all_of(jobs_.begin(), jobs_.end(),
                     [](const Job& job) { return job.exhausted && !job.sleeps; });
}

PlanOutcome Plan::run() {
  if (jobs_.empty() && small_.empty() && !draws_) return std::move(outcome_);
  if (is_bounded()) {
    search_systematically();
    return std::move(outcome_);
  }
  Clock::duration exhaustion = kFirstExhaustion;
  if (request_.strategy == "exhaustive") {
    const auto tries = [](const Job& job) { return !job.exhausted && job.exhaustible; };
    while (std::any_of(jobs_.begin(), jobs_.end(), tries) && !exhaust(exhaustion)) exhaustion *= 8;
    return std::move(outcome_);
  }
  const auto start = Clock::now();
  std::uint64_t slice = kFirstSlice;
  for (std::uint32_t number = 0;; ++number) {
    request_.progress("explore " + lock_.name + ", round " + std::to_string(number + 1));
    if (round(number, slice)) break;
    const auto share = (Clock::now() - start) / kSmallShare;
    if (number > 0 && (run_enumerated(share) || run_drawn(share))) break;
    if (Clock::now() >= hunt_until_) break;
    if (request_.strategy.empty() && number % 2 == kRoundOfExhaustion) {
      if (exhaust(exhaustion)) break;
      if (nothing_left()) break;
      exhaustion *= 2;
    }
    if (number == 2 && search_systematically()) break;
    slice = std::min(2 * slice, kSliceMax);
  }
  const bool found = outcome_.caught || !outcome_.refused.empty();
  if (!found && !small_.empty() && coverage(kEnumerated).executions == 0) run_enumerated({});
  if (!found && draws_ && coverage(kDrawn).executions == 0) run_drawn({});
  return std::move(outcome_);
}

}  // namespace hobbs::explore
