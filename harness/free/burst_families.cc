// Sections, tries, timed calls and readers in bursts.
#include "harness/free/families.h"
#include "scenarios/suites/many_permits.h"

namespace hobbs::gang {

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
         "lock meet(2) unlock | lock unlock | try unlock meet(2)",
         "repeat=2: try work unlock | try work unlock | try work unlock",
         "repeat=2: try work unlock lock work unlock | lock work unlock try work unlock | lock "
         "work unlock"});
}

void add_timed(Families& f) {
  f.add("burst/timed", "ME-1,ME-2,ME-3,ME-4,TO-1,TO-3,TO-5,TO-10,LV-1",
        "timed calls that run out about when the lock is passed on",
        {"lock work(30us) unlock | timed(40us) work unlock | lock work unlock | timed(60us) work "
         "unlock",
         "lock work(100us) unlock | timed(100us) work unlock | lock work unlock",
         "lock meet(2) unlock | lock unlock | timed(1ms) unlock meet(2)",
         "lock work(60us) unlock | timed(60us) work unlock | timed(90us) work unlock | lock work "
         "unlock",
         "repeat=2: timed(100us) work unlock | lock work(50us) unlock | timed(5ms) work unlock",
         "lock work(8ms) unlock | timed(1ms) work unlock",
         "timed(200us) unlock lock work unlock | lock work(200us) unlock | lock work unlock",
         "lock meet(3) unlock | timed(1ms) unlock meet(3) | timed(1ms) unlock meet(3)"});
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
  // And of three bits, and of four.
  std::vector<std::string> crowds;
  for (const int readers : {8, 16}) {
    std::string crowd;
    for (int i = 0; i < readers; ++i) {
      crowd += "lock_shared meet(" + std::to_string(readers) + ") work(300us) unlock | ";
    }
    crowds.push_back(crowd + (f.lock().real.try_acquire != nullptr ? "try" : "lock") +
                     " work unlock");
  }
  f.add("burst/crowds", "RW-1,RW-3,ME-1,ME-2", "many readers at once", crowds).must_contend = false;
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
        {"lock work downgrade work unlock | lock work unlock | lock_shared work unlock",
         "lock_shared work try_upgrade work unlock | lock_shared try_upgrade work unlock | lock "
         "work unlock",
         "lock_shared work upgrade work unlock | lock_shared work unlock | lock work unlock",
         "lock_shared upgrade work unlock | lock_shared upgrade work unlock"});
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
  constexpr std::uint32_t kMostShared = 16;
  if (permits > kMostShared) {
    f.add("burst/permits", "ME-6,TR-2,TO-3,LV-1", "holders of a semaphore's permits",
          many_permits_programs(permits));
    return;
  }
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

/// Deadlines are times of the steady clock. A template waits by what Platform gives it.
void add_wall_clock(Families& f) {
  if (f.lock().hooked.available()) return;
  Family& family = f.add("burst/clock", "TO-8,ME-1,LV-1", "the wall clock is set while they wait",
                         {"lock work(500us) unlock | timed(5ms) work unlock",
                          "lock work(500us) unlock | timed_shared(5ms) work unlock"});
  family.nemeses = {Nemesis::kClockSet};
  family.must_contend = false;
  family.must_strike = true;
  family.unstruck = "no wait of its timed calls until a time of CLOCK_REALTIME was seen";
  family.means = {{"TO-1", "TO-8"}, {"TO-3", "TO-8"}, {"TO-10", "TO-8"}, {"ME-4", "TO-8"}};
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

}  // namespace hobbs::gang
