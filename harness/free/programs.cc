// Long because it is the table of all programs, family by family.
#include "harness/free/programs.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "harness/free/spawn.h"
#include "harness/free/worker.h"

namespace hobbs::gang {
namespace {

bool offered(const LockOps& ops, const Step& step) {
  const bool shared = step.mode == Mode::kShared;
  switch (step.verb) {
    case Verb::kAcquire: return shared ? ops.acquire_shared != nullptr : ops.acquire != nullptr;
    case Verb::kTry: return shared ? ops.try_acquire_shared != nullptr : ops.try_acquire != nullptr;
    case Verb::kTimed:
      return shared ? ops.acquire_shared_until != nullptr : ops.acquire_until != nullptr;
    case Verb::kUpgrade: return ops.upgrade != nullptr;
    case Verb::kTryUpgrade: return ops.try_upgrade != nullptr;
    case Verb::kDowngrade: return ops.downgrade != nullptr;
    default: return true;
  }
}

/// Every meeting finds enough workers that come to one, and nobody has to meet himself.
bool meetings_are_met(const Program& program) {
  std::int64_t comers = 0, largest = 0;
  for (const auto& steps : program.workers) {
    std::int64_t meets = 0;
    for (const Step& step : steps) {
      if (step.verb != Verb::kMeet) continue;
      ++meets;
      largest = std::max(largest, step.amount);
    }
    if (meets > 1 || (meets > 0 && program.repeat > 1)) return false;
    comers += meets;
  }
  return largest == 0 || (comers % largest == 0 && comers >= largest);
}

/// In the order of their measured worth (see README): the first turn of all is the widest.
std::vector<Nemesis> nemeses_of(const LockSpec& lock) {
  if (!lock.hooked.available()) return {Nemesis::kChurn, Nemesis::kNone};
  return {Nemesis::kYields, Nemesis::kDelays, Nemesis::kChurn, Nemesis::kNone};
}

constexpr std::size_t kProgramsOnPaths = 3;

/// Who reports misuse has a way to say that a call failed.
bool can_fail(const Claims& claims) { return claims.reports_errors || claims.checks_misuse; }

class Families {
 public:
  explicit Families(const LockSpec& lock) : lock_(lock), topologies_(topologies_of(lock)) {}

  Family& add(std::string name, std::string rules, std::string about,
              const std::vector<std::string>& texts) {
    Family family;
    family.name = std::move(name);
    family.rules = std::move(rules);
    family.about = std::move(about);
    family.topologies = topologies_;
    // Starting a program takes long: only where it is likely to tell something.
    const bool spawns = family.name == "burst/exclusion" || family.name == "burst/readers" ||
                        family.name == "burst/permits" || family.name == "place/addresses";
    if (!spawns) std::erase(family.topologies, Topology::kSpawn);
    family.nemeses = nemeses_of(lock_);
    for (const std::string& text : texts) {
      ParseResult parsed = parse_program(text);
      if (!parsed.error.empty()) std::abort();  // The texts are ours.
      if (fits(lock_, parsed.program)) family.programs.push_back(std::move(parsed.program));
    }
    families_.push_back(std::move(family));
    return families_.back();
  }
  const LockSpec& lock() const { return lock_; }
  std::vector<Family> take() {
    std::erase_if(families_, [](const Family& family) {
      return family.programs.empty() || family.topologies.empty();
    });
    // On a path a round takes long, as waiters may sleep between looks: few programs, each often.
    for (Family& family : families_) {
      if (lock_.home == Home::kPath && family.programs.size() > kProgramsOnPaths) {
        family.programs.resize(kProgramsOnPaths);
      }
    }
    return std::move(families_);
  }

 private:
  const LockSpec& lock_;
  std::vector<Topology> topologies_;
  std::vector<Family> families_;
};

void add_exclusion(Families& f) {
  const std::string pristine = f.lock().claims.pristine_when_free ? ",AB-4" : "";
  Family& family = f.add(
      "burst/exclusion", "ME-1,ME-2,LV-1,LV-2,DL-4,RS-1" + pristine,
      "short bursts of sections, then all outside",
      {"lock work unlock | lock work unlock | lock work unlock | lock work unlock",
       "lock work unlock | lock work unlock",
       "repeat=3: lock work unlock | lock work unlock | lock work unlock",
       "repeat=3: lock work unlock | lock work unlock",
       "first_id=2: lock work unlock lock work unlock | lock work unlock",
       "repeat=2: lock work unlock | lock work unlock | lock work unlock | lock work unlock | "
       "lock work unlock | lock work unlock",
       "lock work(30us) unlock | lock work(30us) unlock | lock work(30us) unlock"});
  // A lock with readers has programs enough.
  constexpr std::size_t kAmongReaders = 3;
  if (f.lock().real.has_shared() && family.programs.size() > kAmongReaders) {
    family.programs.resize(kAmongReaders);
  }
}

void add_tries(Families& f) {
  f.add("burst/try", "ME-1,ME-2,ME-3,ME-4,TR-1,TR-2,TR-3,TR-4,LV-1", "tries among plain sections",
        {"lock work unlock | try work unlock | lock work unlock | try work unlock",
         "repeat=2: lock work unlock | lock work unlock | try work unlock",
         "repeat=2: try work unlock | try work unlock | try work unlock",
         "repeat=2: try work unlock lock work unlock | lock work unlock try work unlock | lock "
         "work unlock",
         "lock meet(2) unlock | lock unlock | try unlock meet(2)"});
}

void add_timed(Families& f) {
  f.add("burst/timed", "ME-1,ME-2,ME-3,ME-4,TO-1,TO-3,TO-5,TO-10,LV-1",
        "timed calls that run out about when the lock is passed on",
        {"lock work(30us) unlock | timed(40us) work unlock | lock work unlock | timed(60us) work "
         "unlock",
         "lock work(100us) unlock | timed(100us) work unlock | lock work unlock",
         "lock work(60us) unlock | timed(60us) work unlock | timed(90us) work unlock | lock work "
         "unlock",
         "repeat=2: timed(100us) work unlock | lock work(50us) unlock | timed(5ms) work unlock",
         "lock work(8ms) unlock | timed(1ms) work unlock",
         "timed(200us) unlock lock work unlock | lock work(200us) unlock | lock work unlock",
         "lock meet(2) unlock | lock unlock | timed(1ms) unlock meet(2)"});
  // Later than what milliseconds in 32 bits can say.
  Family& far = f.add("burst/far-deadline", "TO-9,ME-1,LV-1", "deadlines a month away",
                      {"lock work(2ms) unlock | timed(2600000s) work unlock",
                       "lock work(2ms) unlock | timed_shared(2600000s) work unlock"});
  far.means = {{"TO-1", "TO-9"}, {"TO-10", "TO-9"}, {"ME-4", "TO-9"}};
  far.must_contend = false;
}

void add_readers(Families& f) {
  f.add("burst/readers", "RW-1,RW-2,RW-3,ME-1,ME-2,LV-1,LV-2", "readers and writers",
        {"lock work unlock | lock_shared work unlock | lock_shared work unlock | lock work unlock",
         "repeat=2: lock work unlock | lock_shared work unlock",
         "repeat=2: lock work unlock | lock_shared work unlock | lock_shared work unlock",
         "lock_shared meet(2) work unlock | lock_shared meet(2) work unlock",
         "lock_shared meet(3) work unlock | lock_shared meet(3) work unlock | lock_shared meet(3) "
         "work unlock",
         "lock work unlock lock_shared work unlock | lock_shared work unlock lock work unlock",
         "lock work unlock | lock work unlock | lock_shared work unlock | lock_shared work unlock "
         "| lock_shared work unlock",
         // As many at once as a count of two bits does not hold.
         "lock_shared meet(4) unlock | lock_shared meet(4) unlock | lock_shared meet(4) unlock | "
         "lock_shared meet(4) unlock | lock work unlock"});
  // Readers that had to wait must come in together too. A writer that only tries never waits, which
  // could hold the second reader back.
  const bool tries = f.lock().real.try_acquire != nullptr;
  f.add("burst/readers-after-writer", "RW-1,RW-2,LV-1", "readers who had to wait, together inside",
        {std::string(tries ? "try" : "lock") +
         " work(400us) unlock | rest(50us) lock_shared meet(2) work unlock | rest(50us) "
         "lock_shared meet(2) work unlock"});
  f.add("burst/readers-try", "RW-1,RW-3,ME-2,TR-2,TR-3,TR-4,LV-1", "readers, writers and tries",
        {"lock work unlock | try_shared work unlock | try work unlock | lock_shared work unlock",
         "repeat=2: lock_shared work unlock | lock work unlock | try work unlock",
         "repeat=2: lock work unlock | lock_shared work unlock | try_shared work unlock",
         "lock_shared work unlock | lock work unlock | try work unlock | lock_shared work unlock | "
         "lock work unlock"});
  f.add("burst/readers-timed", "RW-1,RW-3,ME-2,TO-1,TO-3,TO-5,LV-1",
        "readers, writers and timed calls",
        {"lock_shared work(100us) unlock | timed(60us) work unlock | lock_shared work unlock",
         "lock_shared meet(2) unlock | timed(100us) work unlock | lock_shared meet(2) unlock",
         "lock work(60us) unlock | timed_shared(60us) work unlock | lock work unlock",
         "lock_shared work(60us) unlock | timed(50us) work unlock | lock_shared work unlock | lock "
         "work unlock"});
}

void add_conversions(Families& f) {
  f.add("burst/conversions", "RW-1,RW-4,RW-5,RW-6,RW-7,ME-2,LV-1", "upgrades and downgrades",
        {"lock_shared work try_upgrade work unlock | lock_shared try_upgrade work unlock | lock "
         "work unlock",
         "lock_shared work upgrade work unlock | lock_shared work unlock | lock work unlock",
         "lock_shared upgrade work unlock | lock_shared upgrade work unlock",
         "lock work downgrade work unlock | lock work unlock | lock_shared work unlock"});
}

void add_nested(Families& f) {
  f.add("burst/nested", "RE-1,RE-2,RE-5,ME-1,ME-2,LV-1", "nested sections of a re-entrant lock",
        {"lock lock work unlock work unlock | lock work unlock | lock lock work unlock unlock",
         "repeat=2: lock try work unlock work unlock | lock work unlock",
         "lock try timed(1ms) unlock work unlock unlock | try work unlock | lock work unlock",
         "lock(300) work unlock | lock work unlock",
         "lock lock unlock work unlock | try work unlock | try work unlock"});
  Family& readers = f.add(
      "burst/nested-readers", "RE-1,RW-1,ME-2,LV-1",
      "readers of a re-entrant lock nest beside writers",
      {"lock_shared work(50us) lock_shared work unlock unlock | lock work unlock | lock work "
       "unlock",
       "lock_shared work(50us) try_shared work unlock unlock | lock work unlock",
       "lock lock_shared work unlock work unlock | lock_shared work unlock | lock work unlock"});
  readers.means = {{"LV-1", "RE-1"}, {"LV-2", "RE-1"}};
}

void add_permits(Families& f, std::uint32_t permits) {
  const std::string meet = "lock meet(" + std::to_string(permits) + ") work unlock";
  std::string crowd = "lock work unlock", together = meet, waves = meet;
  for (std::uint32_t i = 1; i < permits + 2; ++i) crowd += " | lock work unlock";
  for (std::uint32_t i = 1; i < permits; ++i) together += " | " + meet;
  for (std::uint32_t i = 1; i < 2 * permits; ++i) waves += " | " + meet;
  f.add("burst/permits", "ME-6,TR-2,TO-3,LV-1", "holders of a semaphore's permits",
        {crowd, "repeat=3: " + crowd, together, waves, crowd + " | try work unlock",
         crowd + " | timed(60us) work unlock"});
}

/// Signals and stops heal lost wakes and hide races: they get few programs of their own.
void add_interruptions(Families& f) {
  std::vector<std::string> texts = {
      "lock work(1ms) unlock | lock work(1ms) unlock | lock work(50us) unlock",
      "lock work(25ms) unlock | timed(1ms) work unlock",
      "lock work(50us) unlock | try work unlock | timed(60us) work unlock",
      "lock work(50us) unlock | lock_shared work unlock | lock_shared work(50us) unlock"};
  Family& signals = f.add("burst/signals", "ME-1,ME-2,ME-4,RW-1,SG-1,TO-1,TO-2,TO-10,LV-1",
                          "handlers interrupt those who wait", texts);
  signals.nemeses = {Nemesis::kSignals, Nemesis::kRestarts};
  signals.must_contend = false;
  signals.weight = 4;
  texts.erase(texts.begin() + 1);
  Family& stops = f.add("burst/stops", "ME-1,ME-2,RW-1,SG-2,LV-1,LV-3",
                        "processes are stopped and continued", texts);
  stops.nemeses = {Nemesis::kStops};
  stops.must_contend = false;
  stops.weight = 2;
  std::erase(stops.topologies, Topology::kThreads);
}

void add_several(Families& f) {
  Family& signals = f.add(
      "signals/several", "SG-3,ME-1,ME-2", "who waits for one lock and holds another",
      {"lock lock#1 work unlock unlock | lock#1 work(4ms) unlock | rest(200us) lock work unlock"});
  signals.nemeses = {Nemesis::kSignals, Nemesis::kRestarts};
  signals.must_contend = false;
  signals.weight = 2;
  signals.means = {{"ME-1", "SG-3"}, {"ME-2", "SG-3"}};
  f.add("burst/several", "ME-1,ME-2,ME-9,DL-4,LV-1,LV-7", "several locks, taken in one order",
        {"lock work lock#1 work unlock unlock | lock work lock#1 work unlock unlock | lock#1 work "
         "unlock lock work unlock"});
}

/// Sections held for long, by workers that are stopped: a living holder's lock is its own.
void add_long_holds(Families& f) {
  const LockSpec& lock = f.lock();
  if (lock.home == Home::kMemory && lock.claims.crash == CrashBehaviour::kStuck) return;
  Family& family = f.add("hold/long", "ST-2,ME-1,ME-2", "a living holder keeps the lock for long",
                         {"lock work(40ms) unlock | try work unlock | lock work unlock",
                          "lock work(15ms) unlock | lock work(15ms) unlock"});
  family.nemeses = {Nemesis::kStops, Nemesis::kNone};
  std::erase(family.topologies, Topology::kThreads);
  family.must_contend = false;
  family.means = {{"ME-1", "ST-2"}, {"ME-2", "ST-2"}};
  family.weight = 4;
}

/// The same bursts, placed so that one assumption about the workers' memory fails.
void add_places(Families& f) {
  const Claims& claims = f.lock().claims;
  const std::vector<std::string> texts = {
      "repeat=2: lock work unlock | lock work unlock | lock work unlock | lock work unlock",
      "lock work unlock | lock work unlock | try work unlock | lock work unlock"};
  const auto only_at = [](Family& family, Topology topology) {
    std::erase_if(family.topologies, [topology](Topology t) { return t != topology; });
  };
  Family& mixture =
      f.add("place/mixture", "ME-5,ME-1,ME-2", "two threads in each of two processes", texts);
  only_at(mixture, Topology::kMixed);
  mixture.means = {{"ME-1", "ME-5"}, {"ME-2", "ME-5"}};
  mixture.must_contend = f.lock().home == Home::kMemory;
  if (f.lock().home == Home::kMemory && claims.position_independent) {
    Family& addresses = f.add("place/addresses", "MM-5,ME-1,LV-1",
                              "fresh processes, in which the lock has different addresses", texts);
    only_at(addresses, Topology::kSpawn);
    addresses.must_contend = false;
    addresses.means = {{"ME-1", "MM-5"}, {"LV-1", "MM-5"}, {"LV-2", "MM-5"}};
  }
  // A lock of so many workers keeps something for each, and ends when all of them have ended.
  const bool destroyable = claims.destroyable && f.lock().home == Home::kMemory &&
                           claims.max_workers == kMaxWorkers && !f.lock().real.has_shared() &&
                           !claims.semaphore;
  if (!destroyable) return;
  Family& destroy = f.add("burst/destroy", "AB-5", "the last one out destroys the lock at once",
                          {"lock work unlock destroy | lock work unlock destroy",
                           "lock work unlock destroy | lock work unlock destroy | lock work unlock "
                           "destroy | lock work unlock destroy"});
  destroy.must_contend = false;
}

/// What is done at the first use of a lock is done in every round.
void add_first_uses(Families& f) {
  if (f.lock().home != Home::kMemory) return;
  Family& anew = f.add("place/anew", "ME-1,ME-2,RW-1,LV-1", "a new lock in every round",
                       {"lock work unlock | lock work unlock",
                        "lock work unlock | lock work unlock | lock work unlock | lock work unlock",
                        "lock work unlock | lock_shared work unlock | lock_shared work unlock"});
  anew.nemeses = {Nemesis::kFresh};
  anew.must_contend = false;
}

/// Ids that lie far apart: what has room for fewer, or keeps some of their bits, takes one worker
/// for another, or leaves its own memory.
void add_numbers(Families& f) {
  const std::string ends = "id_step=" + std::to_string(f.lock().claims.max_workers - 1) + ": ";
  Family& numbers = f.add(
      "place/numbers", "ME-1,ME-2,RW-1,LV-1", "workers with the smallest and largest ids",
      {ends + "lock work unlock | lock work unlock",
       "id_step=32: lock work unlock lock work unlock | lock work unlock",
       "id_step=16: lock work unlock | lock work unlock | lock work unlock | lock work unlock",
       ends + "lock work unlock | lock_shared work unlock",
       "id_step=32: lock work unlock | lock_shared work unlock"});
  numbers.must_contend = false;
  if (f.lock().claims.max_workers < 3) numbers.programs.clear();
}

/// What befalls the file while nobody has it open; to be survived by those to whom the file is but
/// a place to lock, or refused.
void add_strikes_at_rest(Families& f, const std::vector<std::string>& texts) {
  const auto struck = [](Family& family, Nemesis nemesis, const std::string& rule) {
    std::erase_if(family.topologies, [](Topology t) { return t != Topology::kFork; });
    family.nemeses = {nemesis};
    family.must_contend = false;
    family.must_strike = true;
    family.unstruck = "while nobody holds it there is no file at its path, or it is kept open";
    family.weight = 3;
    for (const char* plain :
         {"ME-1", "ME-2", "ME-4", "TR-4", "LV-1", "LV-2", "TR-1", "TR-2", "TO-3", "RW-3"}) {
      family.means[plain] = rule;
    }
  };
  const Claims& claims = f.lock().claims;
  if (claims.content_ignored || claims.path_replaceable) {
    struck(f.add("files/replaced", "FS-4,ME-1,LV-1",
                 "between rounds the closed file is removed, or a copy put in its place", texts),
           Nemesis::kReplaced, "FS-4");
  }
  if (!claims.reports_errors) return;
  struck(f.add("files/hostile", "FS-8,ME-1,LV-1",
               "every other round finds a FIFO or a folder in the file's place", texts),
         Nemesis::kHostile, "FS-8");
}

/// What befalls a lock's file and its users from outside, and what no lock may mind.
void add_attacks(Families& f) {
  if (f.lock().home != Home::kPath) return;
  const std::vector<std::string> texts = {
      "lock work(200us) unlock | lock work(200us) unlock | lock work unlock",
      "lock work unlock | try work unlock | lock work(500us) unlock"};
  const auto alone = [](Family& family, Nemesis nemesis) {
    family.nemeses = {nemesis};
    family.must_contend = false;
    family.weight = 3;
  };
  Family& first =
      f.add("place/first", "FS-18,ME-1,LV-1", "all open the lock at once, every round", texts);
  alone(first, Nemesis::kFresh);
  std::erase(first.topologies, Topology::kThreads);  // Where closing may drop a sibling's hold.
  std::erase(first.topologies, Topology::kMixed);
  first.means = {{"ME-1", "FS-18"}, {"ME-2", "FS-18"}, {"LV-1", "FS-18"}};
  if (f.lock().claims.thread_shared && !f.lock().claims.closing_frees) {
    // Where each thread may have the file open, it may be closed at any time.
    Family& aliases = f.add("files/aliases", "FS-2,ME-1",
                            "holders open the lock's file once more, and close it", texts);
    alone(aliases, Nemesis::kAliases);
    aliases.means = {{"ME-1", "FS-2"}, {"ME-2", "FS-2"}};
  }
  alone(f.add("files/touched", "ME-1,ME-2,LV-1,ST-5",
              "its file is opened, linked, touched and its mode changed by others", texts),
        Nemesis::kFiles);
  if (f.lock().claims.content_ignored) {
    Family& garbled = f.add("files/garbled", "FS-9,ME-1,LV-1",
                            "its file is cut and written over by others", texts);
    alone(garbled, Nemesis::kGarbled);
    garbled.must_strike = true;
    garbled.means = {{"ME-1", "FS-9"}, {"ME-2", "FS-9"}, {"LV-1", "FS-9"}, {"LV-2", "FS-9"}};
  }
  if (f.lock().claims.path_replaceable) {
    // Inside for long, so that whoever came in by a new file is still there when the last leaver
    // releases.
    std::vector<std::string> long_too = texts;
    long_too.push_back("lock work(3ms) unlock | lock work(3ms) unlock | lock work(3ms) unlock");
    Family& removed =
        f.add("files/removed", "FS-4,ME-1,LV-1",
              "holders that leave remove the file, or put another one there", long_too);
    alone(removed, Nemesis::kRemovals);
    removed.must_strike = true;
    removed.means = {{"ME-1", "FS-4"}, {"ME-2", "FS-4"}, {"LV-1", "FS-4"}, {"LV-2", "FS-4"}};
  }
  add_strikes_at_rest(f, texts);
  // A lock() that cannot fail has no way to say so: only who reports errors is asked.
  if (!can_fail(f.lock().claims)) return;
  Family& scarce = f.add("files/scarce", "RS-2,FS-10,ME-1,LV-1",
                         "workers run out of descriptors, or of room in files", texts);
  alone(scarce, Nemesis::kScarce);
  std::erase(scarce.topologies, Topology::kThreads);
  std::erase(scarce.topologies, Topology::kMixed);
  scarce.means = {{"ME-1", "FS-10"}, {"ME-2", "FS-10"}, {"ME-4", "RS-2"}};
  if (!f.lock().claims.reports_errors) return;
  Family& refused = f.add("files/refused", "FS-10,ME-1,LV-1",
                          "system calls fail for want of memory or of records for locks", texts);
  alone(refused, Nemesis::kRefusals);
  std::erase_if(refused.topologies, [](Topology t) { return t != Topology::kFork; });
  refused.must_strike = true;
  refused.unstruck = "its calls neither open nor lock a file";
  refused.means = {{"ME-1", "FS-10"}, {"ME-2", "FS-10"}, {"LV-1", "FS-10"},
                   {"LV-2", "FS-10"}, {"ME-4", "FS-10"}, {"TR-4", "FS-10"}};
}

/// Counters that wrap: the lock has been used that often before.
void add_wraps(Families& f) {
  Family& family =
      f.add("burst/wrap", "ME-7,ME-1,LV-1", "a lock used almost as often as its counters reach",
            {"preset=65530: lock work unlock | lock work unlock | lock work unlock",
             "preset=250: lock work unlock | lock work unlock | lock work unlock"});
  family.nemeses = {Nemesis::kNone};
  family.must_contend = false;
}

/// A dead worker is one that was killed at an operation of the lock, one after the other.
/// Who finds a holder dead looks, waits a moment and acts; meanwhile others do the same, and a new
/// holder comes.
template <class OnlyOnce>
void add_stampede(Families& f, OnlyOnce only_once) {
  const std::string again = "lock work unlock lock work(20us) unlock lock work unlock";
  std::string crowd = "kill=0@1: lock work(2ms) unlock";
  for (int i = 0; i < 5; ++i) crowd += " | " + again;
  Family& stampede =
      f.add("crash/stampede", "ST-3,CR-5,ME-1", "a holder dies before many who wait", {crowd});
  only_once(stampede);
  stampede.means = {{"ME-1", "ST-3"}};
}

void add_crashes(Families& f) {
  const std::string rules = "CR-1,CR-3,CR-5,CR-6,CR-8,CR-17,ME-1,ME-2";
  std::vector<std::string> texts = {
      "kill=0@1: lock work(2ms) unlock | lock work unlock | lock work unlock",
      "kill=0@1: lock work unlock | lock work unlock | lock work unlock",
      "kill=0@1: lock work unlock lock work unlock | lock work unlock lock work unlock",
      "kill=0@1: lock work(50us) unlock | lock work(50us) unlock",
      "kill=1@1: lock work(200us) unlock | lock work unlock | lock work unlock",
      "kill=0@1 kill=1@3: lock work unlock | lock work unlock | lock work unlock",
      "kill=0@1: lock work unlock | try work unlock | lock work unlock",
      "kill=0@1: lock work unlock | timed(20ms) work unlock | lock work unlock"};
  if (f.lock().claims.reentrant) {
    texts.push_back("kill=0@1: lock lock work unlock unlock | lock work unlock");
    texts.push_back("kill=0@1: lock lock work unlock unlock | lock lock work unlock unlock");
  }
  const auto only_once = [&](Family& family) {
    family.topologies = {Topology::kFork};
    family.nemeses = {Nemesis::kNone};
    if (f.lock().hooked.available()) family.nemeses.push_back(Nemesis::kDelays);
    family.must_contend = false;
    family.kills = true;
    family.weight = 10;
  };
  if (!f.lock().claims.reentrant)
    std::erase_if(
        texts, [](const std::string& text) { return text.find("lock lock") != std::string::npos; });
  only_once(f.add("crash/exclusion", rules, "a worker dies at each point in turn", texts));
  Family& zombies = f.add("crash/zombies", "CR-18,CR-5,ME-1",
                          "a worker dies, and nobody waits for it", {texts[0], texts[1]});
  only_once(zombies);
  zombies.nemeses = {Nemesis::kZombies};
  zombies.weight = 4;
  zombies.means = {{"CR-5", "CR-18"}};
  if (f.lock().claims.exec_is_death) {
    Family& execs =
        f.add("crash/exec", "CR-10,CR-5,ME-1",
              "a worker becomes another program at each point in turn, and that goes on",
              {texts[0], texts[1], texts[4]});
    only_once(execs);
    execs.nemeses = {Nemesis::kExecs};
    execs.weight = 4;
    execs.must_strike = true;
    execs.means = {{"CR-5", "CR-10"}, {"CR-3", "CR-10"}};
  }
  Family& many = f.add("crash/several", "CR-9,CR-5,ME-1", "a worker dies that holds several locks",
                       {"kill=0@1: lock lock#1 lock#2 work unlock unlock unlock | lock work unlock "
                        "lock#1 work unlock lock#2 work unlock"});
  only_once(many);
  many.nemeses = {Nemesis::kNone};
  many.weight = 4;
  many.means = {{"CR-5", "CR-9"}};
  if (f.lock().claims.crash != CrashBehaviour::kReleasedBySystem) add_stampede(f, only_once);
  const bool thread_owns = f.lock().claims.releaser == Releaser::kThread &&
                           f.lock().claims.crash != CrashBehaviour::kReleasedBySystem &&
                           f.lock().home == Home::kMemory && f.lock().claims.thread_shared;
  if (thread_owns) {
    Family& threads = f.add("crash/threads", "CR-2,CR-5,ME-1", "a thread ends, its process goes on",
                            {"kill_thread=0@1: lock work(2ms) unlock | lock work unlock",
                             "kill_thread=0@1: lock work unlock | lock work unlock | lock work "
                             "unlock"});
    only_once(threads);
    threads.topologies = {Topology::kThreads};
    threads.nemeses = {Nemesis::kNone};
    threads.weight = 4;
    threads.means = {{"CR-5", "CR-2"}};
  }
  if (!f.lock().real.has_shared()) return;
  only_once(f.add("crash/readers", rules + ",CR-7,RW-1",
                  "a reader or a writer dies at each point in turn",
                  {"kill=0@1: lock_shared work unlock | lock work unlock | lock_shared work unlock",
                   "kill=0@1: lock work unlock | lock_shared work unlock | lock work unlock"}));
}

void add_placement(Families& f) {
  const LockSpec& lock = f.lock();
  const Claims& claims = lock.claims;
  if (lock.home == Home::kMemory && claims.process_shared &&
      claims.fork == ForkBehaviour::kShared && !claims.semaphore) {
    std::vector<std::string> texts = {"lock work unlock fork lock work unlock | lock work unlock",
                                      "fork fork lock work unlock lock work unlock"};
    if (claims.reentrant) {
      texts.push_back("lock work fork try work unlock unlock | lock work unlock");
      texts.push_back("lock unlock lock fork lock work unlock unlock");
    }
    f.add("fork/inside", "FK-1,FK-4,RE-2,ME-1,ME-2,LV-1", "a worker forks, and both go on", texts)
        .must_contend = false;
  }
  // Where the mode of the fork matters: what its parent's other thread holds, the child does not.
  if (lock.home == Home::kMemory && claims.process_shared && claims.thread_shared &&
      claims.fork == ForkBehaviour::kShared && !claims.semaphore) {
    Family& beside =
        f.add("fork/beside", "FK-3,ME-1,LV-1", "a thread forks while another may hold the lock",
              {"fork lock work unlock | lock work(60us) unlock | lock work unlock",
               "fork lock work unlock lock work unlock | lock work(60us) unlock"});
    std::erase(beside.topologies, Topology::kFork);
    std::erase(beside.topologies, Topology::kMixed);
    beside.must_contend = false;
    beside.means = {{"ME-1", "FK-3"}, {"ME-2", "FK-3"}, {"LV-1", "FK-3"}, {"LV-2", "FK-3"}};
  }
  if (claims.process_shared && claims.fork == ForkBehaviour::kShared && !claims.semaphore) {
    Family& ends = f.add("fork/ends", "FK-2,ME-1", "a holder's child ends while the lock is held",
                         {"lock fork work(300us) unlock | lock work unlock | lock work unlock"});
    std::erase_if(ends.topologies, [](Topology t) { return t != Topology::kFork; });
    ends.must_contend = false;
    ends.means = {{"ME-1", "FK-2"}, {"ME-2", "FK-2"}};
  }
  // No tries: a child that stays may keep the lock for a moment, as the kernel's contract is.
  if (lock.hooked.available() && claims.process_shared && claims.fork == ForkBehaviour::kShared) {
    Family& within = f.add("fork/within", "FK-6,ME-1,ME-2,LV-1", "forks in the midst of calls",
                           {"lock work unlock | lock work unlock | lock work unlock",
                            "lock work(200us) unlock | lock work unlock"});
    std::erase_if(within.topologies, [](Topology t) { return t != Topology::kFork; });
    within.nemeses = {Nemesis::kForks};
    within.must_contend = false;
    within.must_strike = true;
    within.unstruck = "its calls pass no point at which a fork could strike";
    within.weight = 3;
    within.means = {{"ME-1", "FK-6"}, {"ME-2", "FK-6"}, {"LV-1", "FK-6"}, {"LV-2", "FK-6"},
                    {"TR-2", "FK-6"}, {"RW-3", "FK-6"}, {"TO-3", "FK-6"}};
  }
  if (lock.home != Home::kPath) return;
  Family& exec = f.add("fork/exec", "FK-5,ME-1,LV-1", "a program is started while the lock is held",
                       {"lock exec work unlock | lock work unlock"});
  exec.nemeses = {Nemesis::kNone};
  exec.must_contend = false;
  if (claims.crash != CrashBehaviour::kStuck || !claims.process_shared) return;
  Family& stale = f.add("burst/stale", "ME-1,ME-2,ST-3", "its holder died before the workers came",
                        {"lock work(1ms) unlock | lock work(1ms) unlock | lock work(1ms) unlock",
                         "lock work unlock | lock work unlock | lock work unlock",
                         "lock work unlock | try work unlock | try work unlock | try work unlock"});
  stale.nemeses = {Nemesis::kStale};
  stale.must_contend = false;
  stale.weight = 10;
}

void add_misuse(Families& f) {
  const Claims& claims = f.lock().claims;
  if (claims.checks_misuse && !claims.semaphore) {
    Family& family =
        f.add("burst/misuse", "MU-1,MU-2,ME-1,LV-1", "releases by workers that hold nothing",
              {"lock work unlock misuse | lock work unlock | misuse",
               "lock work unlock | misuse lock work unlock | lock work unlock misuse"});
    // Where the process is the holder, another thread of it is no stranger.
    if (claims.releaser == Releaser::kProcess) std::erase(family.topologies, Topology::kThreads);
    if (claims.releaser == Releaser::kProcess) std::erase(family.topologies, Topology::kMixed);
    if (claims.releaser == Releaser::kAnyone) family.programs.clear();
  }
  // Elsewhere a holder that asks again is outside the contract, a try of it too.
  const bool waits_for_itself = !claims.reentrant && !claims.semaphore && claims.checks_misuse &&
                                claims.releaser != Releaser::kAnyone;
  if (waits_for_itself) {
    f.add("burst/relock", "RE-3,TO-1,ME-1,LV-1", "a holder that asks again",
          {"lock timed(300us) unlock work unlock | lock work unlock",
           "lock try work unlock unlock | lock work unlock"});
  }
}

}  // namespace

bool fits(const LockSpec& lock, const Program& program) {
  const std::size_t others = forks_of(program) + (program.faults.empty() ? 0 : 1);
  if (program.workers.empty() || program.workers.size() + others > lock.claims.max_workers ||
      last_platform_id(program) > lock.claims.max_workers) {
    return false;
  }
  if (forks_of(program) > 0 && program.repeat > 1) return false;
  for (const Fault& fault : program.faults) {
    if (fault.worker >= program.workers.size() || program.first_id != 1) return false;
  }
  for (const auto& steps : program.workers) {
    for (const Step& step : steps) {
      if (!offered(lock.real, step)) return false;
      if (step.verb == Verb::kAcquire && step.amount > lock.claims.max_depth) return false;
    }
  }
  return meetings_are_met(program);
}

std::vector<Topology> topologies_of(const LockSpec& lock) {
  const Claims& claims = lock.claims;
  // Such locks do not tell the threads of a process apart.
  const bool per_process = claims.releaser == Releaser::kProcess && claims.reentrant;
  const bool threads = claims.thread_shared && !per_process;
  std::vector<Topology> topologies;
  if (claims.process_shared) topologies.push_back(Topology::kFork);
  if (threads) topologies.push_back(Topology::kThreads);
  // Fresh processes have the lock at addresses of their own.
  if (claims.process_shared && claims.position_independent && spawn_is_served()) {
    topologies.push_back(Topology::kSpawn);
  }
  if (claims.process_shared && threads) topologies.push_back(Topology::kMixed);
  return topologies;
}

std::vector<Family> families_of(const LockSpec& lock) {
  Families f(lock);
  const Claims& claims = lock.claims;
  const bool one_inside = !claims.semaphore || claims.permits == 1;
  if (one_inside) add_exclusion(f);
  if (one_inside) add_tries(f);
  if (one_inside) add_timed(f);
  if (claims.semaphore) add_permits(f, claims.permits);
  if (claims.crash != CrashBehaviour::kStuck && claims.process_shared) add_crashes(f);
  add_placement(f);
  add_interruptions(f);
  if (!one_inside) return f.take();
  add_misuse(f);
  if (claims.reentrant) add_nested(f);
  if (lock.real.has_shared()) {
    add_readers(f);
    add_conversions(f);
  }
  add_several(f);
  add_places(f);
  add_numbers(f);
  add_first_uses(f);
  add_long_holds(f);
  add_attacks(f);
  if (lock.home == Home::kMemory) add_wraps(f);  // On a path, so many pairs take seconds.
  return f.take();
}

}  // namespace hobbs::gang
