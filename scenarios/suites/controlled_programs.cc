#include "scenarios/suites/controlled_programs.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "scenarios/suites/many_permits.h"

namespace hobbs {
namespace {

constexpr std::string_view kExclusion = "ME-1,ME-2,MM-1,LV-1,LV-2";
constexpr std::string_view kTry = "ME-3,TR-1,TR-2,TR-3,ME-4,LV-1";
constexpr std::string_view kTimed = "ME-3,ME-4,TO-1,TO-2,TO-3,TO-5,TO-6,TO-11,LV-1";
constexpr std::string_view kReaders = "RW-1,RW-2,RW-3,MM-2,LV-1,LV-2";
constexpr std::string_view kNested = "RE-1,RE-2,RE-5,ME-1,LV-1";
constexpr std::string_view kCrash = "CR-1,CR-3,CR-5,CR-6,CR-7,CR-8,ME-1";

/// Collects programs that fit the lock.
class Collection {
 public:
  explicit Collection(const LockSpec& lock) : lock_(lock) {}

  void add(std::string_view family, std::string_view rules, std::string_view text,
           Topology topology = Topology::kFork) {
    ControlledProgram made;
    made.family = family;
    made.rules = rules;
    made.topology = lock_.claims.process_shared ? topology : Topology::kThreads;
    ParseResult parsed = parse_program(text);
    if (!parsed.error.empty()) std::abort();  // The texts are ours.
    made.program = std::move(parsed.program);
    made.kills = !made.program.faults.empty();
    if (!lock_.claims.process_shared) made.topology = Topology::kThreads;
    if (made.topology == Topology::kThreads && !lock_.claims.thread_shared) return;
    made.relocks = family == "relock";
    if (fits(made.program)) programs_.push_back(std::move(made));
  }
  void add_all(std::string_view family, std::string_view rules,
               const std::vector<std::string>& texts) {
    for (const std::string& text : texts) add(family, rules, text);
  }
  std::vector<ControlledProgram> take() { return std::move(programs_); }
  const LockSpec& lock() const { return lock_; }

 private:
  bool fits(const Program& program) const {
    if (last_platform_id(program) > lock_.claims.max_workers) return false;
    if (deepest_nesting(program) > lock_.claims.max_depth) return false;
    for (const auto& steps : program.workers) {
      for (const Step& step : steps) {
        if (!offered(step)) return false;
      }
    }
    return true;
  }
  bool offered(const Step& step) const {
    const LockOps& ops = lock_.controlled.available() ? lock_.controlled : lock_.real;
    const bool shared = step.mode == Mode::kShared;
    switch (step.verb) {
      case Verb::kAcquire: return shared ? ops.acquire_shared != nullptr : ops.acquire != nullptr;
      case Verb::kTry:
        return shared ? ops.try_acquire_shared != nullptr : ops.try_acquire != nullptr;
      case Verb::kTimed:
        return shared ? ops.acquire_shared_until != nullptr : ops.acquire_until != nullptr;
      case Verb::kUpgrade: return ops.upgrade != nullptr;
      case Verb::kTryUpgrade: return ops.try_upgrade != nullptr;
      case Verb::kDowngrade: return ops.downgrade != nullptr;
      case Verb::kPost: return lock_.claims.releaser == Releaser::kAnyone;
      default: return true;
    }
  }

  const LockSpec& lock_;
  std::vector<ControlledProgram> programs_;
};

void add_exclusion(Collection& c) {
  c.add_all("exclusion", kExclusion,
            {"lock work unlock | lock work unlock",
             "lock work unlock lock work unlock | lock work unlock lock work unlock",
             "lock work unlock | lock work unlock | lock work unlock",
             "repeat=2: lock work unlock | lock work unlock | lock work unlock",
             "lock work unlock | lock work unlock | lock work unlock | lock work unlock",
             "repeat=3: lock work unlock | lock work unlock",
             "lock work unlock | lock work unlock | lock work unlock | lock work unlock | lock "
             "work unlock",
             "first_id=2: lock work unlock | lock work unlock",
             "first_id=3: lock work unlock | lock work unlock | lock work unlock",
             "repeat=2 first_id=2: lock work unlock | lock work unlock | lock work unlock"});
  c.add("exclusion", kExclusion, "repeat=2: lock work unlock | lock work unlock",
        Topology::kThreads);
  // Ids that a field of three to five bits takes for each other.
  c.add_all("exclusion", kExclusion,
            {"id_step=8: lock work unlock | lock work unlock",
             "id_step=16: lock work unlock | lock work unlock",
             "id_step=32: lock work unlock | lock work unlock",
             "id_step=32: lock_shared unlock lock work unlock | lock_shared work unlock"});
  // The greatest of all: the end of what is indexed by id.
  const std::uint32_t largest = c.lock().claims.max_workers;
  if (largest < 3) return;
  const std::string ends = "id_step=" + std::to_string(largest - 1) + ": ";
  c.add_all("exclusion", kExclusion,
            {ends + "lock work unlock | lock work unlock",
             ends + "lock work unlock | lock_shared work unlock"});
}

/// Who waits for itself waits for ever, whatever wakes it. (Where nobody can move an execution
/// ends: the second worker, at another lock, keeps it going.)
void add_relocks(Collection& c) {
  for (const std::string relock : {"lock lock unlock unlock", "lock lock_shared unlock unlock",
                                   "lock_shared lock unlock unlock"}) {
    c.add("relock", "RE-3,ME-1,RW-1", relock + " | lock#1 unlock");
  }
}

/// Counters that wrap: the lock has been used that often before.
void add_wraps(Collection& c) {
  c.add_all("wrap", "ME-7,LV-2",
            {"preset=254: lock work unlock lock work unlock | lock work unlock lock work unlock",
             "preset=255: lock work unlock | lock work unlock | lock work unlock",
             "preset=255: lock_shared unlock | lock_shared work unlock | lock work unlock",
             "preset=65535: lock_shared unlock | lock_shared work unlock | lock work unlock",
             "preset=65534: lock work unlock lock work unlock | lock work unlock lock work unlock",
             "preset=65535: lock work unlock | lock work unlock | lock work unlock"});
}

void add_tries(Collection& c) {
  c.add_all(
      "try", kTry,
      {"try work unlock", "try work unlock | try work unlock", "lock work unlock | try work unlock",
       "lock work unlock | lock work unlock | try work unlock",
       "repeat=2: lock work unlock | try work unlock",
       "repeat=2: try work unlock | try work unlock | lock work unlock",
       "lock work unlock try unlock | lock work unlock try unlock",
       "lock work unlock | lock work unlock | lock work unlock | try work unlock",
       "repeat=2: lock work unlock | lock work unlock | try work unlock",
       "lock meet(2) unlock | lock unlock | try meet(2) unlock"});
}

void add_timed(Collection& c) {
  c.add_all(
      "timed", kTimed,
      {"timed work unlock", "timed(2ms) work unlock | timed work unlock",
       "lock work unlock | timed(2ms) work unlock",
       "lock work(5ms) unlock | timed(2ms) work unlock",
       "lock work(5ms) unlock | timed(2ms) work unlock | lock work unlock",
       "lock work(1ms) unlock | timed(2ms) work unlock | timed(3ms) work unlock",
       "lock work(2ms) unlock | timed(2ms) work unlock | lock work unlock",
       "lock work unlock | timed(2ms) work unlock | lock work unlock",
       "repeat=2: lock work unlock | timed(2ms) work unlock",
       "repeat=2: timed(1ms) work unlock | timed(2ms) work unlock | lock work unlock",
       "lock work(3ms) unlock | timed(2ms) unlock lock work unlock",
       "lock work unlock | timed work unlock | lock work unlock",
       "lock work unlock | timed(2ms) work unlock | timed(2ms) work unlock | lock work unlock",
       "lock work(4ms) unlock | timed(2ms) unlock timed(1ms) unlock | timed(3ms) work unlock",
       "lock meet(2) unlock | lock unlock | timed(2ms) meet(2) unlock",
       "lock meet(3) unlock | timed(2ms) meet(3) unlock | timed(3ms) meet(3) unlock"});
}

/// The greatest deadline there is: what adds to it, or converts it, may meet its limits.
void add_endless(Collection& c) {
  c.add_all("endless", "TO-9,LV-1",
            {"lock work unlock | timed(ever) work unlock",
             "lock work unlock | timed(2600000s) work unlock",  // 32 bits of milliseconds are less.
             "lock work unlock | timed_shared(ever) work unlock"});
}

void add_lifetime(Collection& c) {
  c.add_all("lifetime", "AB-5",
            {"lock work unlock destroy | lock work unlock destroy",
             "lock work unlock destroy | lock work unlock destroy | lock work unlock destroy",
             "lock work unlock destroy | try work unlock destroy",
             "lock work unlock destroy | timed work unlock destroy"});
}

/// What only locks on a path can get wrong: what is inherited, and what is left behind.
void add_path_programs(Collection& c) {
  c.add_all("inherited", "FK-5,LV-1",
            {"lock exec unlock | lock work unlock", "lock exec unlock rest(1ms) lock unlock"});
  c.add_all("stale", "ST-3,CR-5",
            {"lock die | lock work unlock | lock work unlock",
             "lock die | try work unlock | lock work unlock | lock work unlock",
             "lock die | lock work unlock try work unlock | lock work unlock"});
}

void add_nested(Collection& c) {
  c.add_all("nested", kNested,
            {"lock lock work unlock work unlock", "lock try work unlock work unlock",
             "lock lock work unlock work unlock | lock work unlock",
             "lock try work unlock work unlock | lock work unlock",
             "lock lock work unlock work unlock | try work unlock",
             "lock try unlock work unlock | try work unlock",
             "lock timed(1ms) unlock work unlock | try work unlock",
             "try lock work unlock work unlock | lock lock work unlock unlock",
             "repeat=2: lock lock work unlock unlock | lock work unlock",
             "repeat=2: lock try unlock work unlock | lock try unlock work unlock",
             "lock lock unlock work unlock | lock work unlock | lock lock work unlock unlock",
             "lock lock lock unlock unlock work unlock | try work unlock | lock work unlock",
             "lock(255) work unlock | try work unlock", "lock(256) work unlock | try work unlock",
             "lock(257) work unlock | try work unlock", "lock(65536) work unlock | try work unlock",
             "lock(65537) work unlock | try work unlock"});
  c.add_all("nested-readers", "RE-1,RE-5,RW-1,ME-1,LV-1",
            {"lock_shared lock_shared work unlock work unlock | lock work unlock",
             "lock_shared try_shared work unlock work unlock | lock work unlock",
             "lock lock_shared work unlock work unlock | lock_shared work unlock",
             "lock_shared lock_shared unlock work unlock | lock_shared lock_shared unlock unlock | "
             "lock work unlock"});
}

void add_forks(Collection& c) {
  c.add_all(
      "fork", "FK-1,FK-4,RE-2",
      {"lock work fork try work unlock unlock", "lock unlock lock fork try work unlock unlock",
       "lock work unlock fork lock work unlock"});
}

void add_readers(Collection& c, Fairness fairness) {
  c.add_all(
      "readers", kReaders,
      {"lock_shared work unlock", "lock work unlock | lock_shared work unlock",
       "lock_shared meet(2) work unlock | lock_shared meet(2) work unlock",
       "lock work unlock | lock_shared work unlock | lock_shared work unlock",
       "lock work unlock | lock_shared meet(2) unlock | lock_shared meet(2) unlock",
       "lock work unlock | lock work unlock | lock_shared work unlock",
       "repeat=2: lock work unlock | lock_shared work unlock",
       "repeat=2: lock work unlock | lock_shared work unlock | lock_shared work unlock",
       "repeat=2: lock work unlock | lock work unlock | lock_shared work unlock",
       "lock work unlock | lock_shared work unlock | lock_shared work unlock | lock_shared work "
       "unlock",
       "lock work unlock | lock work unlock | lock_shared work unlock | lock_shared work unlock",
       "lock_shared meet(3) work unlock | lock_shared meet(3) work unlock | lock_shared meet(3) "
       "work unlock",
       "lock work unlock lock_shared work unlock | lock_shared work unlock lock work unlock",
       // As many readers at once as a count of two bits does not hold, one of them let out again.
       "lock_shared meet(4) unlock | lock_shared meet(4) unlock | lock_shared meet(4) unlock | "
       "lock_shared meet(4) unlock | lock work unlock",
       "lock_shared meet(5) unlock | lock_shared meet(5) unlock | lock_shared meet(5) unlock | "
       "lock_shared meet(5) unlock | lock_shared meet(5) unlock | lock work unlock"});
  if (fairness == Fairness::kReaderPreference) {  // Writers that wait are nothing to a reader.
    c.add_all("readers", kReaders,
              {"lock_shared meet(2) unlock | lock unlock | lock_shared meet(2) unlock",
               "lock_shared meet(2) unlock | lock unlock | lock unlock | lock_shared meet(2) "
               "unlock"});
  }
  c.add_all(
      "readers-try", "RW-1,RW-3,TR-2,TR-3,LV-1",
      {"lock work unlock | try_shared work unlock", "try_shared work unlock | try work unlock",
       "lock_shared work unlock | try work unlock | lock work unlock",
       "lock_shared work unlock | lock work unlock | try work unlock",
       "lock work unlock | lock_shared work unlock | try_shared work unlock",
       "lock_shared meet(2) unlock | try_shared meet(2) unlock",
       "lock downgrade meet(2) meet(2) unlock | meet(2) try_shared meet(2) unlock",
       "repeat=2: lock_shared work unlock | lock work unlock | try work unlock",
       "lock work unlock | lock_shared work unlock | try work unlock | lock_shared work "
       "unlock",
       "lock work unlock | lock work unlock | try_shared work unlock | lock_shared work "
       "unlock",
       "lock unlock try unlock | try_shared unlock",
       "lock_shared meet(2) unlock | lock_shared upgrade unlock | try_shared meet(2) unlock",
       "lock unlock try_shared unlock | lock_shared unlock | lock_shared unlock"});
  c.add_all(
      "readers-timed", "RW-1,RW-3,TO-1,TO-5,TO-7,LV-1",
      {"lock_shared work(5ms) unlock | timed(2ms) work unlock",
       "lock_shared work(5ms) unlock | timed(2ms) work unlock | lock_shared work unlock",
       "lock_shared meet(2) unlock | timed(2ms) unlock | lock_shared meet(2) unlock",
       "lock_shared meet(3) unlock | timed(2ms) unlock | lock_shared meet(3) unlock | lock_shared "
       "meet(3) unlock",
       "lock_shared work(3ms) unlock lock_shared unlock | timed(2ms) unlock lock_shared unlock",
       "lock work(5ms) unlock | timed_shared(2ms) work unlock",
       "lock work unlock | timed_shared(2ms) work unlock | lock work unlock",
       "lock_shared work unlock | timed(2ms) work unlock | lock_shared work unlock | lock work "
       "unlock",
       "repeat=2: lock_shared work unlock | timed(2ms) work unlock | lock_shared work unlock"});
}

void add_conversions(Collection& c) {
  c.add_all("upgrade", "RW-4,RW-5,RW-6,RW-7,RW-1,LV-1",
            {"lock_shared work upgrade work unlock | lock_shared work unlock",
             "lock_shared try_upgrade work unlock | lock_shared try_upgrade work unlock",
             "lock_shared upgrade work unlock | lock_shared upgrade work unlock",
             "lock_shared try_upgrade work unlock | lock work unlock",
             "lock work downgrade work unlock | lock work unlock",
             "lock work downgrade work unlock | lock_shared work unlock | lock work unlock",
             "lock downgrade meet(2) unlock | lock_shared meet(2) unlock",
             "lock_shared try_upgrade work downgrade work unlock | lock_shared work unlock | lock "
             "work unlock"});
}

/// Sections that `permits` workers share, and one that must wait.
void add_permits(Collection& c, std::uint32_t permits) {
  constexpr std::uint32_t kMostShared = 5;
  if (permits > kMostShared) {
    return c.add_all("permits", "ME-6,TR-2,TO-5,TO-6,LV-1", many_permits_programs(permits));
  }
  const std::string meet = "lock meet(" + std::to_string(permits) + ") unlock";
  std::string together, crowd, timed = "timed(2ms) work unlock", tries = "try work unlock";
  for (std::uint32_t i = 0; i < permits; ++i) together += (i == 0 ? "" : " | ") + meet;
  for (std::uint32_t i = 0; i <= permits; ++i) {
    crowd += std::string(i == 0 ? "" : " | ") + "lock work unlock";
  }
  if (permits > 1) c.add("permits", "ME-6,LV-1", together);
  for (const char* const repeat : {"", "repeat=2: "}) {
    c.add("permits", "ME-6,LV-1", repeat + crowd);
    c.add("permits", "ME-6,LV-1", repeat + crowd + " | lock work unlock");
    c.add("permits", "ME-6,TR-2,LV-1", repeat + crowd + " | " + tries);
    c.add("permits", "ME-6,TO-5,TO-6,LV-1", repeat + crowd + " | " + timed);
  }
  c.add("permits", "ME-6,TO-5,TO-6,LV-1",
        "lock work(3ms) unlock | lock work(5ms) unlock | " + timed + " | lock work unlock");
  c.add("permits", "ME-6,TO-9,LV-1", crowd + " | timed(2600000s) work unlock");
  // Holders that all sleep at once, and all come back: needs permits and sleepers of two or more.
  const std::string hold = "lock meet(" + std::to_string(permits) + ") unlock";
  std::string waves;
  for (std::uint32_t i = 0; i < 2 * permits; ++i) waves += (i == 0 ? "" : " | ") + hold;
  c.add("permits", "ME-6,LV-1", waves);
}

void add_posts(Collection& c) {
  c.add_all("post", "ME-1,ME-6,LV-1",
            {"lock | post", "lock | lock unlock | post", "lock | lock unlock | lock unlock | post",
             "lock | lock | post | post | try unlock"});
}

/// Releases by those who hold nothing, beside others: what is refused may break nothing, and of two
/// that come at once for one permit only one may be let through.
void add_misuse(Collection& c, const Claims& claims) {
  if (claims.bounded_release) {
    c.add_all("misuse", "TR-2,LV-1",
              {"lock unlock | misuse", "lock unlock lock unlock | misuse | misuse"});
  } else if (claims.checks_misuse && claims.releaser != Releaser::kAnyone) {
    c.add_all("misuse", "MU-2,ME-1,LV-1",
              {"lock work unlock | misuse", "lock work unlock | lock work unlock | misuse",
               "lock_shared work unlock | lock work unlock | misuse"});
  }
}

/// The dying worker is the one of the fault, at each point in turn.
void add_crashes(Collection& c, bool reentrant) {
  c.add_all("crash", kCrash,
            {"kill=0@1: lock work unlock | lock work unlock",
             "kill=0@1: lock work unlock | lock work unlock | lock work unlock",
             "kill=0@1: lock work unlock lock work unlock | lock work unlock lock work unlock",
             "kill=0@1: lock work unlock | try work unlock | lock work unlock",
             "kill=0@1: lock work unlock | timed(20ms) work unlock",
             "kill=0@1: timed(20ms) work unlock | lock work unlock | lock work unlock"});
  // The second dies too: as a waiter, or while it recovers.
  c.add_all("crash-twice", kCrash,
            {"kill=0@1 kill=1@1: lock work unlock | lock work unlock | lock work unlock",
             "kill=0@1 kill=1@1: lock work unlock | try work unlock | lock work unlock"});
  c.add_all("crash-readers", kCrash,
            {"kill=0@1: lock_shared work unlock | lock work unlock | lock_shared work unlock",
             "kill=0@1: lock work unlock | lock_shared work unlock | lock work unlock",
             "kill=0@1: lock work downgrade work unlock | lock work unlock | lock_shared work "
             "unlock",
             "kill=0@1: lock_shared upgrade work unlock | lock work unlock"});
  if (!reentrant) return;
  c.add_all("crash-nested", kCrash,
            {"kill=0@1: lock lock work unlock unlock | lock work unlock | lock work unlock",
             "kill=0@1: lock lock work unlock unlock | lock lock work unlock unlock lock unlock"});
}

/// Somebody waits while another calls again and again: is the waiter passed more than is promised?
void add_order(Collection& c, const Claims& claims) {
  constexpr std::uint32_t kMostPassed = 6;  // Longer programs dilute the search.
  std::string_view rule;
  switch (claims.fairness) {
    case Fairness::kFifo: rule = "FA-3"; break;
    case Fairness::kBoundedBypass: rule = "FA-4"; break;
    case Fairness::kWriterPreference: rule = "FA-1"; break;
    case Fairness::kPhaseFair: rule = "FA-2"; break;
    case Fairness::kNone:
    case Fairness::kReaderPreference: return;
  }
  std::string again = "lock work unlock";
  for (std::uint32_t i = 0; i <= std::min(claims.bypass_bound, kMostPassed) + 1; ++i) {
    again += " lock unlock";
  }
  c.add_all(
      "order", rule,
      {"lock unlock | lock work unlock lock unlock", "lock unlock | " + again,
       "lock unlock | " + again + " | lock work unlock", "lock unlock | " + again + " | " + again,
       "lock work(5ms) unlock | timed(2ms) unlock | lock unlock | rest(1ms) lock unlock",
       "lock unlock | lock_shared work unlock lock_shared unlock",
       "lock unlock | lock_shared work unlock | lock_shared unlock",
       "lock unlock | lock_shared work unlock lock_shared unlock | lock_shared unlock",
       "lock unlock | lock work unlock | lock_shared unlock lock_shared unlock",
       "lock_shared unlock | " + again, "lock_shared unlock | " + again + " | lock unlock"});
}

}  // namespace

std::vector<ControlledProgram> controlled_programs(const LockSpec& lock) {
  Collection c(lock);
  const Claims& claims = lock.claims;
  if (claims.semaphore && claims.permits > 1) {
    add_permits(c, claims.permits);
  } else {
    add_exclusion(c);
    add_tries(c);
    add_timed(c);
    add_endless(c);
    const bool in_memory = lock.home == Home::kMemory;
    // A lock of so many workers keeps something for each, and ends when all of them have ended.
    const bool for_anybody = claims.max_workers == kMaxWorkers;
    if (claims.destroyable && for_anybody && in_memory && !lock.controlled.has_shared()) {
      add_lifetime(c);
    }
    if (!in_memory) add_path_programs(c);
    if (in_memory && !claims.reentrant && claims.releaser != Releaser::kProcess) add_relocks(c);
  }
  if (claims.semaphore) {
    add_posts(c);
    if (claims.permits == 1) add_permits(c, 1);
  }
  add_misuse(c, claims);
  add_order(c, claims);
  if (claims.reentrant) add_nested(c);
  if (lock.controlled.has_shared()) {
    add_readers(c, claims.fairness);
    add_conversions(c);
  }
  if (claims.crash != CrashBehaviour::kStuck) add_crashes(c, claims.reentrant);
  // Of locks on a path: forks are not modelled, and nothing wraps.
  const bool in_memory = lock.home == Home::kMemory;
  const bool outlives_forks = claims.process_shared && claims.fork == ForkBehaviour::kShared;
  if (in_memory && claims.reentrant && outlives_forks) add_forks(c);
  if (in_memory) add_wraps(c);
  return c.take();
}

Program plain_program(std::uint32_t workers, std::uint32_t acquisitions) {
  Program program;
  std::vector<Step> steps;
  for (std::uint32_t i = 0; i < acquisitions; ++i) {
    for (const Verb verb : {Verb::kAcquire, Verb::kWork, Verb::kRelease}) {
      steps.push_back({verb, Mode::kExclusive, 0, 0});
    }
  }
  program.workers.assign(workers, steps);
  return program;
}

}  // namespace hobbs
