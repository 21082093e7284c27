// POSIX threads as glibc has them: every process-shared kind of mutex and readers-writer lock, the
// spin lock and the unnamed semaphore.
//
// Claims follow POSIX.1-2017 and the manual pages. What they leave undefined (a release by a
// non-owner of a normal mutex) is not claimed, whatever glibc does. Timed waits use the clock*
// calls of glibc 2.30, so that deadlines are on the steady clock.
#include <pthread.h>
#include <semaphore.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "locks/adapters/adapters.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

/// What an acquiring call did, from what it returned.
Outcome acquired(int error) {
  switch (error) {
    case 0: return Outcome::kAcquired;
    case EOWNERDEAD: return Outcome::kOwnerDied;
    case EBUSY:
    case EAGAIN: return Outcome::kBusy;
    case ETIMEDOUT: return Outcome::kTimedOut;
    case EINTR: return Outcome::kInterrupted;
    case EDEADLK: return Outcome::kDeadlock;
    case ENOTRECOVERABLE: return Outcome::kUnrecoverable;
    case EINVAL: return Outcome::kBadArgument;
    default: errno = error; return Outcome::kSystemError;
  }
}

Outcome released(int error) {
  switch (error) {
    case 0: return Outcome::kReleased;
    case EPERM: return Outcome::kNotOwner;
    case EOVERFLOW: return Outcome::kOverRelease;
    default: errno = error; return Outcome::kSystemError;
  }
}

timespec to_timespec(SteadyTime time) {
  const std::int64_t ns = std::max<std::int64_t>(0, time.time_since_epoch().count());
  return {.tv_sec = static_cast<time_t>(ns / 1'000'000'000),
          .tv_nsec = static_cast<long>(ns % 1'000'000'000)};
}

/// An initialisation that cannot fail on a system that has the feature at all.
void must_work(int error, const char* call) {
  if (error == 0) return;
  std::fprintf(stderr, "hobbs: %s: %s\n", call, std::strerror(error));
  std::abort();
}

struct MutexKind {
  int type = PTHREAD_MUTEX_NORMAL;
  int robust = PTHREAD_MUTEX_STALLED;
  int protocol = PTHREAD_PRIO_NONE;
};

template <MutexKind kind>
class Mutex {
 public:
  static constexpr Claims claims{
      .reentrant = kind.type == PTHREAD_MUTEX_RECURSIVE,
      .crash =
          kind.robust == PTHREAD_MUTEX_ROBUST ? CrashBehaviour::kOwnerDied : CrashBehaviour::kStuck,
      .checks_misuse = kind.type != PTHREAD_MUTEX_NORMAL || kind.robust == PTHREAD_MUTEX_ROBUST,
      .exec_is_death = kind.robust == PTHREAD_MUTEX_ROBUST,
      .waits_asleep = true,
      .finds_deadlock =
          kind.type == PTHREAD_MUTEX_ERRORCHECK ? Deadlock::kOwn : Deadlock::kUnnoticed};

  Mutex() {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    must_work(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), "setpshared");
    must_work(pthread_mutexattr_settype(&attributes, kind.type), "settype");
    must_work(pthread_mutexattr_setrobust(&attributes, kind.robust), "setrobust");
    must_work(pthread_mutexattr_setprotocol(&attributes, kind.protocol), "setprotocol");
    must_work(pthread_mutex_init(&mutex_, &attributes), "pthread_mutex_init");
    pthread_mutexattr_destroy(&attributes);
  }
  ~Mutex() { pthread_mutex_destroy(&mutex_); }

  Outcome lock() { return repaired(pthread_mutex_lock(&mutex_)); }
  Outcome try_lock() { return repaired(pthread_mutex_trylock(&mutex_)); }
  Outcome try_lock_until(SteadyTime deadline) {
    const timespec until = to_timespec(deadline);
    return repaired(pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &until));
  }
  Outcome unlock() { return released(pthread_mutex_unlock(&mutex_)); }

 private:
  /// Who is told of a death says at once that the state is good again: nothing here depends on it.
  Outcome repaired(int error) {
    if (error == EOWNERDEAD)
      must_work(pthread_mutex_consistent(&mutex_), "pthread_mutex_consistent");
    return acquired(error);
  }

  pthread_mutex_t mutex_;
};

template <int kind>
class RwLock {
 public:
  // pthread_rwlockattr_setkind_np(3): glibc ignores PREFER_WRITER_NP, since it would deadlock
  // recursive readers. PREFER_WRITER_NONRECURSIVE_NP promises that writers do not starve, which
  // is less than that readers wait for all of them.
  static constexpr Claims claims{.fairness = kind == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP
                                                 ? Fairness::kNone
                                                 : Fairness::kReaderPreference,
                                 .waits_asleep = true};

  RwLock() {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    must_work(pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), "setpshared");
    must_work(pthread_rwlockattr_setkind_np(&attributes, kind), "setkind_np");
    must_work(pthread_rwlock_init(&lock_, &attributes), "pthread_rwlock_init");
    pthread_rwlockattr_destroy(&attributes);
  }
  ~RwLock() { pthread_rwlock_destroy(&lock_); }

  Outcome lock() { return acquired(pthread_rwlock_wrlock(&lock_)); }
  Outcome try_lock() { return acquired(pthread_rwlock_trywrlock(&lock_)); }
  Outcome try_lock_until(SteadyTime deadline) {
    const timespec until = to_timespec(deadline);
    return acquired(pthread_rwlock_clockwrlock(&lock_, CLOCK_MONOTONIC, &until));
  }
  Outcome unlock() { return released(pthread_rwlock_unlock(&lock_)); }
  Outcome lock_shared() { return acquired(pthread_rwlock_rdlock(&lock_)); }
  Outcome try_lock_shared() { return acquired(pthread_rwlock_tryrdlock(&lock_)); }
  Outcome try_lock_shared_until(SteadyTime deadline) {
    const timespec until = to_timespec(deadline);
    return acquired(pthread_rwlock_clockrdlock(&lock_, CLOCK_MONOTONIC, &until));
  }
  Outcome unlock_shared() { return unlock(); }

 private:
  pthread_rwlock_t lock_;
};

class SpinLock {
 public:
  SpinLock() { must_work(pthread_spin_init(&lock_, PTHREAD_PROCESS_SHARED), "pthread_spin_init"); }
  ~SpinLock() { pthread_spin_destroy(&lock_); }
  Outcome lock() { return acquired(pthread_spin_lock(&lock_)); }
  Outcome try_lock() { return acquired(pthread_spin_trylock(&lock_)); }
  Outcome unlock() { return released(pthread_spin_unlock(&lock_)); }

 private:
  pthread_spinlock_t lock_;
};

template <unsigned permits>
class Semaphore {
 public:
  static constexpr Claims claims{.releaser = Releaser::kAnyone,
                                 .semaphore = true,
                                 .permits = permits,
                                 .counts_above_permits = true,
                                 .waits_asleep = true};

  Semaphore() { must_work(error_of(sem_init(&semaphore_, 1, permits)), "sem_init"); }
  ~Semaphore() { sem_destroy(&semaphore_); }
  Outcome lock() { return acquired(error_of(sem_wait(&semaphore_))); }
  Outcome try_lock() { return acquired(error_of(sem_trywait(&semaphore_))); }
  Outcome try_lock_until(SteadyTime deadline) {
    const timespec until = to_timespec(deadline);
    return acquired(error_of(sem_clockwait(&semaphore_, CLOCK_MONOTONIC, &until)));
  }
  Outcome unlock() { return released(error_of(sem_post(&semaphore_))); }

 private:
  static int error_of(int result) { return result == 0 ? 0 : errno; }

  sem_t semaphore_;
};

template <MutexKind kind>
LockSpec mutex(const char* name, const char* summary, const char* page) {
  return adapters::peer(spec_of<Mutex<kind>>(name), summary, page);
}

template <int kind>
LockSpec rwlock(const char* name, const char* summary) {
  return adapters::peer(spec_of<RwLock<kind>>(name), summary, "pthread_rwlockattr_setkind_np(3)");
}

}  // namespace

Catalog pthread_locks() {
  constexpr int kRobust = PTHREAD_MUTEX_ROBUST;
  constexpr const char* kType = "pthread_mutexattr_settype(3)";
  constexpr const char* kRobustPage = "pthread_mutexattr_setrobust(3)";
  return {
      mutex<{}>("pthread.mutex", "Process-shared normal mutex.", kType),
      mutex<{.type = PTHREAD_MUTEX_RECURSIVE}>("pthread.mutex_recursive",
                                               "Process-shared recursive mutex.", kType),
      mutex<{.type = PTHREAD_MUTEX_ERRORCHECK}>("pthread.mutex_errorcheck",
                                                "Process-shared error-checking mutex.", kType),
      mutex<{.robust = kRobust}>("pthread.mutex_robust", "Process-shared robust mutex.",
                                 kRobustPage),
      mutex<{.type = PTHREAD_MUTEX_RECURSIVE, .robust = kRobust}>(
          "pthread.mutex_robust_recursive", "Process-shared robust recursive mutex.", kRobustPage),
      mutex<{.protocol = PTHREAD_PRIO_INHERIT}>("pthread.mutex_pi",
                                                "Process-shared priority-inheriting mutex.",
                                                "pthread_mutexattr_setprotocol(3)"),
      rwlock<PTHREAD_RWLOCK_PREFER_READER_NP>("pthread.rwlock",
                                              "Process-shared readers-writer lock, the default."),
      rwlock<PTHREAD_RWLOCK_PREFER_WRITER_NP>(
          "pthread.rwlock_prefer_writer",
          "Process-shared readers-writer lock that should prefer writers; glibc ignores that."),
      rwlock<PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP>(
          "pthread.rwlock_writer_nonrecursive",
          "Process-shared readers-writer lock in which writers do not starve."),
      adapters::peer(spec_of<SpinLock>("pthread.spin"), "Process-shared spin lock.",
                     "pthread_spin_init(3)"),
      adapters::peer(spec_of<Semaphore<1>>("posix.semaphore"),
                     "Unnamed process-shared semaphore of one permit.", "sem_overview(7)"),
      adapters::peer(spec_of<Semaphore<2>>("posix.semaphore_of_two"),
                     "Unnamed process-shared semaphore of two permits.", "sem_overview(7)"),
  };
}

}  // namespace hobbs
