#include "scenarios/calls/agent_lock.h"

#include <algorithm>

namespace hobbs {
namespace {

using Hazard = KnownHazard::Kind;

/// acquire, try and timed as threading and multiprocessing spell them.
std::vector<AgentCall> python_calls() {
  return {{Verb::kAcquire, Mode::kExclusive, "acquire", ""},
          {Verb::kTry, Mode::kExclusive, "acquire", "False"},
          {Verb::kTimed, Mode::kExclusive, "acquire", "True, $T"},
          {Verb::kRelease, Mode::kExclusive, "release", ""}};
}

std::vector<AgentCall> fasteners_calls(const std::string& acquire, const std::string& release,
                                       Mode mode) {
  return {{Verb::kAcquire, mode, acquire, ""},
          {Verb::kTry, mode, acquire, "blocking=False"},
          {Verb::kTimed, mode, acquire, "timeout=$T"},
          {Verb::kRelease, mode, release, ""}};
}

AgentLock threading_lock(const char* name, bool reentrant) {
  AgentLock lock;
  lock.name = name;
  lock.make = lock.name + "()";
  lock.claims.process_shared = false;
  lock.claims.fork = ForkBehaviour::kPrivateCopy;
  lock.claims.releaser = reentrant ? Releaser::kThread : Releaser::kAnyone;
  lock.claims.reentrant = reentrant;
  lock.claims.checks_misuse = true;
  lock.calls = python_calls();
  if (!reentrant) return lock;
  const char* why = "threading.RLock knows its owner by thread id, which a child process has too";
  lock.hazards.push_back({Hazard::kForkWhileHeld, "python", why});
  lock.hazards.push_back(
      {Hazard::kEndWhileHeld, "python",
       "threading.RLock knows its owner by thread id, which a new thread may get"});
  return lock;
}

/// `arguments` come after the semaphore's name and stand for kind and greatest value.
AgentLock multiprocessing_lock(const char* type, const char* first, const char* attach) {
  AgentLock lock;
  lock.name = std::string("mp.") + type;
  lock.make = std::string("mp.") + type + "(" + first + ")";
  lock.make_to_spawn = std::string("mp.spawn.") + type + "(" + first + ")";
  lock.handle = "_semlock.name";
  lock.attach = std::string("mp.attach('$N', ") + attach + ")";
  lock.spawns = true;
  lock.claims.releaser = Releaser::kAnyone;
  lock.claims.checks_misuse = true;
  lock.calls = python_calls();
  return lock;
}

AgentLock reentrant_process_lock() {
  AgentLock lock = multiprocessing_lock("RLock", "", "0, 1");
  lock.claims.releaser = Releaser::kThread;
  lock.claims.reentrant = true;
  lock.hazards.push_back({Hazard::kRawForkWhileHeld, "python",
                          "multiprocessing.RLock knows its owner by thread id, which survives a "
                          "bare fork: the child takes itself for the owner"});
  lock.hazards.push_back({Hazard::kEndWhileHeld, "python",
                          "multiprocessing.RLock knows its owner by thread id, which a new thread "
                          "may get"});
  return lock;
}

AgentLock semaphore(const char* type, bool bounded) {
  AgentLock lock = multiprocessing_lock(type, "2", bounded ? "1, 2" : "1, 2147483647");
  lock.claims.semaphore = true;
  lock.claims.permits = 2;
  lock.claims.bounded_release = bounded;
  lock.claims.counts_above_permits = !bounded;
  return lock;
}

AgentLock file_lock(const char* type) {
  AgentLock lock;
  lock.name = std::string("fa.") + type;
  lock.make = lock.make_to_spawn = lock.attach = lock.name + "('$D/lk$R')";
  lock.home = Home::kPath;
  lock.objects = AgentLock::Objects::kPerProcess;
  lock.spawns = true;
  lock.claims.thread_shared = false;
  lock.claims.releaser = Releaser::kProcess;
  lock.claims.crash = CrashBehaviour::kReleasedBySystem;
  return lock;
}

AgentLock interprocess_lock() {
  AgentLock lock = file_lock("InterProcessLock");
  lock.calls = fasteners_calls("acquire", "release", Mode::kExclusive);
  return lock;
}

AgentLock interprocess_rw_lock() {
  AgentLock lock = file_lock("InterProcessReaderWriterLock");
  lock.claims.fairness = Fairness::kReaderPreference;
  lock.calls = fasteners_calls("acquire_write_lock", "release_write_lock", Mode::kExclusive);
  const auto shared = fasteners_calls("acquire_read_lock", "release_read_lock", Mode::kShared);
  lock.calls.insert(lock.calls.end(), shared.begin(), shared.end());
  return lock;
}

AgentLock shared_lock(const char* type, bool reentrant) {
  AgentLock lock;
  lock.name = std::string("mpu.") + type;
  lock.make = lock.name + "()";
  lock.claims.reentrant = reentrant;
  lock.claims.checks_misuse = true;
  lock.calls = {{Verb::kAcquire, Mode::kExclusive, "acquire", "True"},
                {Verb::kRelease, Mode::kExclusive, "release", ""},
                {Verb::kAcquire, Mode::kShared, "acquire", ""},
                {Verb::kRelease, Mode::kShared, "release", ""}};
  lock.hazards.push_back({Hazard::kRawForkWhileHeld, "python",
                          "multiprocessing_utils' locks rest on multiprocessing.RLock, whose owner "
                          "survives a bare fork"});
  lock.hazards.push_back({Hazard::kReleaseMayWait, "python",
                          "a release of multiprocessing_utils' locks waits for whoever holds them "
                          "exclusively"});
  return lock;
}

struct Spelling {
  const char* member;
  Verb verb;
  Mode mode;
  Outcome (*LockOps::*call)(void*);
};
constexpr Spelling kSpellings[] = {
    {"acquire", Verb::kAcquire, Mode::kExclusive, &LockOps::acquire},
    {"try_acquire", Verb::kTry, Mode::kExclusive, &LockOps::try_acquire},
    {"release", Verb::kRelease, Mode::kExclusive, &LockOps::release},
    {"acquire_shared", Verb::kAcquire, Mode::kShared, &LockOps::acquire_shared},
    {"try_acquire_shared", Verb::kTry, Mode::kShared, &LockOps::try_acquire_shared},
    {"release_shared", Verb::kRelease, Mode::kShared, &LockOps::release_shared},
    {"upgrade", Verb::kUpgrade, Mode::kExclusive, &LockOps::upgrade},
    {"try_upgrade", Verb::kTryUpgrade, Mode::kExclusive, &LockOps::try_upgrade},
    {"downgrade", Verb::kDowngrade, Mode::kExclusive, &LockOps::downgrade},
};

Outcome outcome_of_error(Verb verb, const CallReply& reply) {
  if (reply.error == "AssertionError") return Outcome::kNotOwner;
  if (reply.error == "InterruptedError") return Outcome::kInterrupted;
  if (reply.error == "RuntimeError" || reply.error == "TypeError") return Outcome::kNotLocked;
  if (reply.error != "ValueError") return Outcome::kSystemError;
  if (verb == Verb::kRelease) return Outcome::kOverRelease;
  return reply.message.find("pgrade") != std::string::npos ? Outcome::kUpgradeRefused
                                                           : Outcome::kReentryRefused;
}

Outcome outcome_of_word(const std::string& json) {
  for (unsigned i = 0; i <= static_cast<unsigned>(Outcome::kSystemError); ++i) {
    const auto outcome = static_cast<Outcome>(i);
    if (json == "\"" + std::string(to_string(outcome)) + "\"") return outcome;
  }
  return Outcome::kSystemError;
}

}  // namespace

const AgentCall* AgentLock::find(Verb verb, Mode mode) const {
  const auto found = std::find_if(calls.begin(), calls.end(), [&](const AgentCall& call) {
    return call.verb == verb && call.mode == mode;
  });
  return found == calls.end() ? nullptr : &*found;
}

bool AgentLock::has_hazard(KnownHazard::Kind kind, std::string_view agent) const {
  return std::any_of(hazards.begin(), hazards.end(), [&](const KnownHazard& hazard) {
    return hazard.kind == kind && hazard.agent == agent;
  });
}

const std::vector<AgentLock>& seed_agent_locks() {
  static const std::vector<AgentLock> locks = {
      threading_lock("th.Lock", false),
      threading_lock("th.RLock", true),
      multiprocessing_lock("Lock", "", "1, 1"),
      reentrant_process_lock(),
      semaphore("Semaphore", false),
      semaphore("BoundedSemaphore", true),
      interprocess_lock(),
      interprocess_rw_lock(),
      shared_lock("SharedLock", false),
      shared_lock("SharedRLock", true),
  };
  return locks;
}

AgentLock catalog_agent_lock(const LockSpec& spec) {
  AgentLock lock;
  lock.name = spec.name;
  lock.claims = spec.claims;
  lock.home = spec.home;
  if (spec.home == Home::kPath) {
    // What a process holds, any of its threads may release: through the object that holds it.
    lock.objects = spec.claims.releaser == Releaser::kProcess ? AgentLock::Objects::kPerProcess
                                                              : AgentLock::Objects::kPerWorker;
  }
  lock.make = lock.make_to_spawn = "hobbs.lock('" + spec.name + "', '$D/lk$R')";
  lock.attach = "hobbs.attach('" + spec.name + "', '$D/lk$R')";
  const bool shared = spec.claims.process_shared && spec.unusable_between_processes.empty();
  lock.forks = shared || spec.claims.fork == ForkBehaviour::kPrivateCopy;
  // Who is alive is known among related processes only.
  const bool asks_who_lives = spec.claims.crash == CrashBehaviour::kOwnerDied ||
                              spec.claims.crash == CrashBehaviour::kTakeover;
  lock.spawns = shared && spec.claims.position_independent && !asks_who_lives;
  lock.tells_outcomes = true;
  // As in the standard, a second lock() by a holder is undefined where it is not checked.
  lock.again = spec.claims.checks_misuse || spec.claims.reentrant || spec.claims.semaphore ||
               spec.claims.releaser == Releaser::kAnyone;
  for (const Spelling& spelling : kSpellings) {
    if (spec.real.*spelling.call == nullptr) continue;
    lock.calls.push_back({spelling.verb, spelling.mode, spelling.member, "$W"});
  }
  if (spec.real.acquire_until != nullptr) {
    lock.calls.push_back({Verb::kTimed, Mode::kExclusive, "acquire_for", "$W, $T"});
  }
  if (spec.real.acquire_shared_until != nullptr) {
    lock.calls.push_back({Verb::kTimed, Mode::kShared, "acquire_shared_for", "$W, $T"});
  }
  return lock;
}

Outcome outcome_of(const AgentLock& lock, Verb verb, const CallReply& reply) {
  if (!reply.error.empty()) return outcome_of_error(verb, reply);
  if (lock.tells_outcomes) return outcome_of_word(reply.result_json);
  const bool releases = verb == Verb::kRelease;
  if (reply.result_json == "null") return releases ? Outcome::kReleased : Outcome::kAcquired;
  if (releases) return Outcome::kSystemError;
  if (reply.result_json == "true") return Outcome::kAcquired;
  if (reply.result_json != "false") return Outcome::kSystemError;
  return verb == Verb::kTimed ? Outcome::kTimedOut
         : verb == Verb::kTry ? Outcome::kBusy
                              : Outcome::kSystemError;
}

}  // namespace hobbs
