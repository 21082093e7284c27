// How explore spends its budget: several kinds of search, each with its part of the time, over jobs
// (a program under a memory model).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/driver.h"
#include "harness/explore/bounded_search.h"
#include "harness/explore/graph/exhaust.h"
#include "harness/explore/hunt.h"
#include "scenarios/suites/controlled_programs.h"

namespace hobbs::explore {

/// The families of programs that are walked only: all small ones, and those drawn at random.
inline constexpr const char* kEnumerated = "enumerated";
inline constexpr const char* kDrawn = "drawn";

/// What was done for one family of programs.
struct Coverage {
  std::string rules;
  std::uint64_t executions = 0;
  std::uint64_t cut = 0;  // Executions that the step limit ended.
  std::uint32_t programs = 0;
  std::uint32_t searched = 0;  // Program × model pairs of which nothing is left ...
  int bound = -1;              // ... up to this bound; -1: none was searched.
  Bounds bounds = Bounds::kPreemptions;
  std::uint32_t pairs = 0;      // Program × model pairs there are, and of how many of them ...
  std::uint32_t exhausted = 0;  // ... all executions were judged ...
  std::uint64_t all_executions = 0;  // ... which are so many.
  std::string not_exhausted;         // Why some were not.
  std::string unsettled;             // Not empty: how some executions would have gone on.
  std::string not_of_several;        // Not empty: why programs of several locks were not run.
  bool exhaustive = false;           // That all were was asked for.
  std::int64_t duration_ns = 0;
};

struct PlanOutcome {
  std::vector<std::pair<std::string, Coverage>> families;  // In the order of the programs.
  std::optional<Catch> caught;
  std::string caught_family;
  std::string refused;  // Not empty: the lock cannot be modelled, and why.
};

/// Runs everything that the request asks for, until something is caught or the time is up.
class Plan {
 public:
  Plan(const LockSpec& lock, const Request& request);
  PlanOutcome run();

 private:
  struct Job {
    const ControlledProgram* program;
    MemoryModel model;
    std::uint32_t kill_point = 1;
    bool exhausted = false;   // All its executions were judged ...
    bool exhaustible = true;  // ... or it is of no use to try again ...
    bool sleeps = false;      // ... and it waits on a futex.
    int searched = -1;        // All its executions up to this bound were judged.
    // For how long the last searches were tried that came to no end.
    Clock::duration exhausting{}, bounding{};
    bool unrunnable = false;  // The lock is not for it.
    // Whether nothing is left to see. (A futex wait that ends for no reason is not among all
    // executions.)
    bool done() const { return unrunnable || (exhausted && !sleeps); }
  };
  /// A search of every job, again and again from its beginning, each within a slice of time that
  /// grows from lap to lap.
  struct Laps {
    bool (Plan::*may)(const Job& job, Clock::duration slice) const;  // Whether it may tell more.
    bool (Plan::*search)(Job& job, Clock::duration slice);           // True if the plan is over.
    std::size_t next = 0;
    Clock::duration slice;
  };
  /// A kind of search that is one among others.
  struct Work {
    int weight;
    bool (Plan::*wanted)() const;                  // Whether it has anything left to do.
    bool (Plan::*go_on)(Clock::time_point until);  // At least a little; true if the plan is over.
    Clock::duration spent{};
  };
  std::string refusal() const;
  void make_jobs();
  std::string why_no_program() const;
  bool waits_for_itself(const ControlledProgram& program);
  bool over() const { return outcome_.caught || !outcome_.refused.empty(); }
  bool first_round_over_time() const;
  bool run_first_round();
  bool run_job(Job& job, std::uint64_t executions);
  bool run_kills(Job& job, std::uint64_t executions, std::uint64_t at_least);
  bool run_any(Job& job, std::uint64_t executions, std::uint64_t at_least = 0);
  void run_by_shares();
  bool rounds_wanted() const;
  bool go_on_with_rounds(Clock::time_point until);
  bool wanted(const Laps& laps) const;
  bool go_on(Laps& laps, Clock::time_point until);
  bool bounds_wanted() const { return wanted(bounding_); }
  bool go_on_with_bounds(Clock::time_point until) { return go_on(bounding_, until); }
  bool search_next_bound(Job& job, Clock::duration slice);
  bool search_job(Job& job, int bound, Clock::time_point until);
  void search_within_bounds();
  bool exhaustion_wanted() const { return wanted(exhausting_); }
  bool go_on_exhausting(Clock::time_point until) { return go_on(exhausting_, until); }
  bool exhaust_job(Job& job, Clock::duration slice);
  bool enumerated_wanted() const { return !small_.empty(); }
  bool go_on_with_enumerated(Clock::time_point until);
  bool drawn_wanted() const { return draws_; }
  bool go_on_with_drawn(Clock::time_point until);
  bool walk_one(const char* family, const Program& program, MemoryModel model,
                std::uint64_t executions, Clock::time_point until);
  bool nothing_left() const;
  bool note(const std::string& family, Stretch&& stretch, const Program& program);
  bool note_job(Job& job, Stretch&& stretch);
  Clock::duration longest_search() const;
  bool may_exhaust(const Job& job, Clock::duration slice) const;
  bool may_bound(const Job& job, Clock::duration slice) const;
  void tell_bounds();
  Bounds bounds() const;
  bool is_bounded() const;
  std::unique_ptr<Strategy> strategy_for(std::uint32_t round);
  void add_walked_programs();
  Explorer& explorer(MemoryModel model, Topology topology);
  Coverage& coverage(const std::string& family);

  const LockSpec& lock_;
  const Request& request_;
  Clock::time_point hunt_until_;
  std::chrono::nanoseconds first_round_until_;  // By processor_time().
  std::vector<MemoryModel> models_;
  std::vector<ControlledProgram> programs_;
  std::vector<Job> jobs_;
  std::uint32_t round_ = 0;     // Of strategies that draw: a slice of executions for each job, ...
  std::size_t round_next_ = 0;  // ... the next of which this is.
  std::uint64_t executions_;    // The slice.
  Laps exhausting_;             // To the end, ...
  Laps bounding_;               // ... or to the next bound.
  std::vector<Program> small_;  // All small programs: each gets a few executions at a time ...
  std::size_t small_next_ = 0;  // ... from this one on, ...
  std::uint64_t small_passes_ = 0;  // ... so often before.
  bool draws_ = false;              // More programs at random, ...
  std::uint64_t drawn_ = 0;         // ... so many up to now.
  std::uint32_t walked_ = 0;        // How often any of both were walked.
  std::map<std::pair<MemoryModel, Topology>, std::unique_ptr<Explorer>> explorers_;
  std::map<const ControlledProgram*, graph::KnownWorkers> known_workers_;
  PlanOutcome outcome_;
  std::uint64_t seed_;
};

/// The memory models that a request names: sc, tso, c11, or all.
std::vector<MemoryModel> models_of(const std::string& memory);
std::string to_string(MemoryModel model);

}  // namespace hobbs::explore
