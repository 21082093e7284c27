// Deaths of workers, at each point in turn.
#include "harness/free/families.h"

namespace hobbs::gang {
namespace {

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

}  // namespace

/// A dead worker is one that was killed at an operation of the lock, one after the other.
void add_crashes(Families& f) {
  const std::string rules = "CR-1,CR-3,CR-5,CR-6,CR-8,CR-17,ME-1,ME-2";
  std::vector<std::string> texts = {
      "kill=0@1: lock work(2ms) unlock | lock work unlock | lock work unlock",
      "kill=0@1: lock work unlock | lock work unlock | lock work unlock",
      "kill=0@1: lock work unlock lock work unlock | lock work unlock lock work unlock",
      "kill=0@1: timed(20ms) work unlock | lock work(1ms) unlock | lock work unlock",
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
    if (f.has_points()) family.nemeses.push_back(Nemesis::kDelays);
    family.must_contend = false;
    family.kills = true;
    family.weight = 10;
  };
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

}  // namespace hobbs::gang
