// Locks as machine code, without our seam: the broken ones are accused by their rule, the real
// libraries' are searched completely and found clean.
#include "harness/step/step_driver.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "locks/spec_of.h"

namespace hobbs {
namespace {

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  ::syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
}

/// The three-state futex mutex, correct; the broken ones below differ in one line each.
struct FutexMutex {
  std::atomic<std::uint32_t> word{0};
  void lock() {
    std::uint32_t free = 0;
    if (word.compare_exchange_strong(free, 1)) return;
    while (word.exchange(2) != 0) futex(word, FUTEX_WAIT, 2);
  }
  bool try_lock() {
    std::uint32_t free = 0;
    return word.compare_exchange_strong(free, 1);
  }
  void unlock() {
    if (word.exchange(0) == 2) futex(word, FUTEX_WAKE, 1);
  }
};

struct TestThenSet {  // The test and the set are two steps.
  std::atomic<std::uint32_t> word{0};
  void lock() {
    while (word.load() != 0) ::sched_yield();
    word.store(1);
  }
  void unlock() { word.store(0); }
};

struct ForgetsWaiters : FutexMutex {  // Woken, it takes the lock as if nobody else slept.
  void lock() {
    std::uint32_t seen = 0;
    if (word.compare_exchange_strong(seen, 1)) return;
    for (;;) {
      if (seen == 2 || (seen == 1 && word.compare_exchange_strong(seen, 2))) {
        futex(word, FUTEX_WAIT, 2);
      }
      seen = 0;
      if (word.compare_exchange_strong(seen, 1)) return;
    }
  }
};

struct PrivateFutex : FutexMutex {  // The key of another address space.
  void lock() {
    std::uint32_t free = 0;
    if (word.compare_exchange_strong(free, 1)) return;
    while (word.exchange(2) != 0) futex(word, FUTEX_WAIT_PRIVATE, 2);
  }
  void unlock() {
    if (word.exchange(0) == 2) futex(word, FUTEX_WAKE_PRIVATE, 1);
  }
};

struct NoStoreLoadFence {  // Peterson's lock with release stores and acquire loads.
  static constexpr unsigned max_workers = 2;
  std::atomic<std::uint32_t> flag[2]{};
  std::atomic<std::uint32_t> turn{0};
  void lock() {
    const std::uint32_t me = (RealPlatform::self() - 1) & 1, other = 1 - me;
    flag[me].store(1, std::memory_order_release);
    turn.store(other, std::memory_order_release);
    while (flag[other].load(std::memory_order_acquire) != 0 &&
           turn.load(std::memory_order_acquire) == other) {
      ::sched_yield();
    }
  }
  void unlock() {
    flag[(RealPlatform::self() - 1) & 1].store(0, std::memory_order_release);
  }
};

struct GivesUpEarly : FutexMutex {  // A timed acquire that does not wait.
  bool try_lock_until(SteadyTime) { return try_lock(); }
};

Request request_for(std::chrono::seconds budget) {
  Request request;
  request.until = std::chrono::steady_clock::now() + budget;
  return request;
}

/// The first finding's rule and memory model; empty if there is none.
std::string accusation(const LockSpec& lock) {
  StepDriver driver;
  for (const Result& result : driver.run(lock, request_for(std::chrono::seconds(30)))) {
    if (result.verdict != Verdict::kFail) continue;
    const ReplayOutcome again =
        driver.replay(lock, result.finding->replay_json, request_for(std::chrono::seconds(30)));
    EXPECT_EQ(again.error, "");
    EXPECT_EQ(again.failed, again.of) << "a finding must replay";
    EXPECT_GT(again.of, 0u);
    EXPECT_FALSE(result.finding->history.empty());
    return result.rule + " " + result.scenario.substr(7, 3);
  }
  return "";
}

TEST(Step, AccusesBrokenMachineCodeByItsRule) {
  EXPECT_EQ(accusation(spec_of<TestThenSet>("test then set")), "ME-1 sc/");
  EXPECT_EQ(accusation(spec_of<ForgetsWaiters>("forgets waiters")), "LV-1 sc/");
  EXPECT_EQ(accusation(spec_of<PrivateFutex>("private futex")), "LV-1 sc/");
  EXPECT_EQ(accusation(spec_of<GivesUpEarly>("gives up early")), "TO-1 sc/");
}

TEST(Step, FindsAMissingFenceOnlyUnderTotalStoreOrder) {
  EXPECT_EQ(accusation(spec_of<NoStoreLoadFence>("no fence")), "ME-1 tso");
}

struct PosixMutex {
  pthread_mutex_t mutex;
  PosixMutex() : PosixMutex(false) {}
  explicit PosixMutex(bool robust) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attributes);
  }
  void lock() { pthread_mutex_lock(&mutex); }
  bool try_lock() { return pthread_mutex_trylock(&mutex) == 0; }
  void unlock() { pthread_mutex_unlock(&mutex); }
};

struct PosixRobust : PosixMutex {
  PosixRobust() : PosixMutex(true) {}
  Outcome lock() {
    const int error = pthread_mutex_lock(&mutex);
    if (error == 0) return Outcome::kAcquired;
    if (error != EOWNERDEAD) return Outcome::kSystemError;
    pthread_mutex_consistent(&mutex);
    return Outcome::kOwnerDied;
  }
  bool try_lock() = delete;
};

/// A robust mutex whose wrapper forgets to tell of the death.
struct HidesTheDeath : PosixRobust {
  Outcome lock() {
    PosixRobust::lock();
    return Outcome::kAcquired;
  }
};

struct PosixSemaphore {
  sem_t semaphore;
  PosixSemaphore() { sem_init(&semaphore, 1, 1); }
  void lock() { sem_wait(&semaphore); }
  void unlock() { sem_post(&semaphore); }
};

struct PosixReadWrite {
  pthread_rwlock_t rwlock;
  PosixReadWrite() {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_rwlock_init(&rwlock, &attributes);
  }
  void lock() { pthread_rwlock_wrlock(&rwlock); }
  void unlock() { pthread_rwlock_unlock(&rwlock); }
  void lock_shared() { pthread_rwlock_rdlock(&rwlock); }
  void unlock_shared() { pthread_rwlock_unlock(&rwlock); }
};

void expect_complete(const LockSpec& lock) {
  StepDriver driver;
  const std::vector<Result> results = driver.run(lock, request_for(std::chrono::seconds(120)));
  EXPECT_GE(results.size(), 6u) << lock.name;
  for (const Result& result : results) {
    EXPECT_EQ(result.verdict, Verdict::kPass)
        << lock.name << " " << result.scenario << ": " << result.rule << " " << result.reason
        << (result.finding ? result.finding->summary + " " + result.finding->schedule : "");
    EXPECT_TRUE(result.complete) << lock.name << " " << result.scenario;
  }
}

TEST(Step, SearchesTheCLibrarysLocksCompletely) {
  expect_complete(spec_of<FutexMutex>("our futex mutex"));
  expect_complete(spec_of<PosixMutex>("pthread mutex"));
  expect_complete(spec_of<PosixSemaphore>("posix semaphore"));
  expect_complete(spec_of<PosixReadWrite>("pthread rwlock"));
}

TEST(Step, KillsAtEveryPointAndJudgesRecovery) {
  Claims robust;
  robust.crash = CrashBehaviour::kOwnerDied;
  EXPECT_EQ(accusation(spec_of<HidesTheDeath>("hides the death", robust)), "CR-1 sc/");
  // A mutex that claims recovery and has none: the others wait for a dead owner for ever.
  EXPECT_EQ(accusation(spec_of<FutexMutex>("claims recovery", robust)).substr(0, 4), "CR-5");
}

TEST(Step, SaysWhatItDoesNotModel) {
  struct ReadsTheClock {
    std::atomic<std::uint32_t> word{0};
    void lock() {
      asm volatile("rdtsc" ::: "rax", "rdx");
      while (word.exchange(1) != 0) ::sched_yield();
    }
    void unlock() { word.store(0); }
  };
  StepDriver driver;
  const std::vector<Result> results =
      driver.run(spec_of<ReadsTheClock>("reads the clock"), request_for(std::chrono::seconds(5)));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].verdict, Verdict::kInconclusive);
  EXPECT_NE(results[0].reason.find("rdtsc"), std::string::npos) << results[0].reason;
}

TEST(Step, RefusesABadReplayFileInOneSentence) {
  StepDriver driver;
  const Request request = request_for(std::chrono::seconds(5));
  const LockSpec lock = spec_of<FutexMutex>("mutex");
  const auto error = [&](const char* json) { return driver.replay(lock, json, request).error; };
  EXPECT_NE(error("{"), "");
  EXPECT_NE(error(R"({"lock":"mutex","driver":"step","program":"lock","schedule":"1 9"})"), "");
  EXPECT_NE(error(R"({"lock":"mutex","driver":"step","program":"lock_shared"})"), "");
  EXPECT_NE(
      error(R"({"lock":"mutex","driver":"step","program":"lock","options":{"memory":"arm"}})"), "");
}

}  // namespace
}  // namespace hobbs
