#include "harness/free/asleep.h"

#include <fmt/format.h>

#include <array>

#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using End = Played::End;

constexpr milliseconds kHeld{250};
constexpr std::int64_t kSpentNs = 40'000'000;  // By all waiters; those who sleep use one of these.
constexpr int kAsleepLooks = 3;                // Of all, one after the other.
constexpr milliseconds kHandover{2000};        // More than the longest nap.
constexpr std::chrono::seconds kDeadline{60};

/// One wait: in which mode the lock is held, and by which call others want it.
struct Wait {
  Mode held;
  Mode wanted;
  bool timed;
  const char* words;
};
constexpr Wait kWaits[] = {
    {Mode::kExclusive, Mode::kExclusive, false, "lock"},
    {Mode::kExclusive, Mode::kExclusive, true, "timed lock"},
    {Mode::kExclusive, Mode::kShared, false, "shared lock"},
    {Mode::kExclusive, Mode::kShared, true, "timed shared lock"},
    {Mode::kShared, Mode::kExclusive, false, "lock while shared"},
};
constexpr std::size_t kWaitersEach = 2;
constexpr std::size_t kMostWaiters = kWaitersEach * std::size(kWaits);

struct Waiter {
  std::atomic<std::uint32_t> called, ended;
  std::atomic<std::int64_t> spent_ns;  // Before its call.
  std::atomic<Outcome> outcome;
};
struct Scene {
  std::atomic<std::uint32_t> held, let_go;
  std::array<Waiter, kMostWaiters> waiters;
  StageLock locks[std::size(kWaits)];
};

bool is_offered(const LockOps& ops, const Wait& wait) {
  if ((wait.held == Mode::kShared || wait.wanted == Mode::kShared) && !ops.has_shared()) {
    return false;
  }
  if (!wait.timed) return true;
  return (wait.wanted == Mode::kShared ? ops.acquire_shared_until : ops.acquire_until) != nullptr;
}

class Play {
 public:
  Play(const LockSpec& lock, const std::string& path, Scene& scene)
      : lock_(lock), ops_(lock.real), path_(path), scene_(scene) {
    for (std::size_t i = 0; i < std::size(kWaits); ++i) {
      if (is_offered(ops_, kWaits[i])) waits_.push_back(i);
    }
  }

  Played run() {
    for (const std::size_t i : waits_) {
      if (lock_.home == Home::kMemory) ops_.construct(scene_.locks[i].bytes, path_of(i).c_str());
    }
    Cast cast;
    if (!cast.enter([this] { hold(); })) return {End::kUnsure, "cannot fork"};
    if (!comes(cast, scene_.held)) {
      return {End::kUnsure, "the first process did not get the free locks"};
    }
    for (std::size_t w = 0; w < count(); ++w) {
      if (!cast.enter([this, w] { wait(w); })) return {End::kUnsure, "cannot fork"};
    }
    for (std::size_t w = 0; w < count(); ++w) {
      if (!wait_for(scene_.waiters[w].called, kStagePatience)) {
        return {End::kUnsure, "a waiter never came to its call"};
      }
    }
    const Played played = watch(cast);
    tell(scene_.let_go);
    return played.end == End::kKept ? see_them_in(cast) : played;
  }

 private:
  std::size_t count() const { return kWaitersEach * waits_.size(); }
  std::size_t wait_of(std::size_t waiter) const { return waits_[waiter / kWaitersEach]; }
  std::string path_of(std::size_t wait) const { return fmt::format("{}.{}", path_, wait); }
  void* object(std::size_t wait) const {
    return object_of(lock_, scene_.locks[wait].bytes, path_of(wait));
  }

  void hold() {
    RealPlatform::attach(1);
    std::array<void*, std::size(kWaits)> locks{};
    for (const std::size_t i : waits_) {
      locks[i] = object(i);
      const bool shared = kWaits[i].held == Mode::kShared;
      if (!holds(shared ? ops_.acquire_shared(locks[i]) : ops_.acquire(locks[i]))) return;
    }
    tell(scene_.held);
    wait_until_told(scene_.let_go);
    for (const std::size_t i : waits_) {
      const bool shared = kWaits[i].held == Mode::kShared;
      shared ? ops_.release_shared(locks[i]) : ops_.release(locks[i]);
    }
    ::pause();  // Locks on a path last as long as the process.
  }

  Outcome call(const Wait& wait, void* lock) const {
    const bool shared = wait.wanted == Mode::kShared;
    if (!wait.timed) return shared ? ops_.acquire_shared(lock) : ops_.acquire(lock);
    const std::int64_t deadline_ns =
        (RealPlatform::now() + kDeadline).time_since_epoch() / nanoseconds(1);
    return shared ? ops_.acquire_shared_until(lock, deadline_ns)
                  : ops_.acquire_until(lock, deadline_ns);
  }

  void wait(std::size_t w) {
    RealPlatform::attach(static_cast<std::uint32_t>(w + 2));
    const Wait& wait = kWaits[wait_of(w)];
    Waiter& self = scene_.waiters[w];
    void* const lock = object(wait_of(w));
    self.spent_ns.store(spent_ns(::getpid()));
    tell(self.called);
    const Outcome outcome = call(wait, lock);
    self.outcome.store(outcome);
    tell(self.ended);
    if (!holds(outcome)) return;
    wait.wanted == Mode::kShared ? ops_.release_shared(lock) : ops_.release(lock);
  }

  /// Until the waiters have used too much, or have been seen to sleep. Who waits for a processor
  /// does neither.
  Played watch(const Cast& cast) const {
    const auto begun = std::chrono::steady_clock::now();
    for (int asleep = 0;; internal::sleep_between_looks()) {
      const auto waited = std::chrono::steady_clock::now() - begun;
      std::int64_t sum_ns = 0, most_ns = 0;
      std::size_t who = 0;
      bool all_asleep = true;
      for (std::size_t w = 0; w < count(); ++w) {
        const pid_t process = cast.players()[w + 1];
        if (scene_.waiters[w].ended.load() != 0) {
          return {End::kUnsure, "an acquire ended while the lock was held"};
        }
        const std::int64_t ns = spent_ns(process) - scene_.waiters[w].spent_ns.load();
        sum_ns += ns;
        if (ns > most_ns) who = w, most_ns = ns;
        all_asleep = all_asleep && is_asleep(process);
      }
      if (sum_ns >= kSpentNs) return burnt(waited, sum_ns, who);
      asleep = all_asleep ? asleep + 1 : 0;
      if (waited >= kHeld && asleep >= kAsleepLooks) return {End::kKept, ""};
      if (waited >= kStagePatience) return {End::kUnsure, "the waiters had no processor"};
    }
  }

  Played burnt(nanoseconds waited, std::int64_t sum_ns, std::size_t who) const {
    return {End::kBroken,
            fmt::format("{} waiters used {} ms of processor time in {} ms, most of them by \"{}\"",
                        count(), sum_ns / 1'000'000, waited / milliseconds(1),
                        kWaits[wait_of(who)].words)};
  }

  /// What a healthy lock lets come soon.
  static bool comes(const Cast& cast, const std::atomic<std::uint32_t>& word) {
    return await(cast, kHandover, [&word] { return word.load() != 0; }) == Awaited::kCame;
  }

  Played see_them_in(const Cast& cast) {
    for (std::size_t w = 0; w < count(); ++w) {
      if (!comes(cast, scene_.waiters[w].ended)) {
        return {End::kUnsure, "a waiter did not get the released lock"};
      }
      if (!holds(scene_.waiters[w].outcome.load())) {
        return {End::kUnsure, "a waiter did not get the lock"};
      }
    }
    return {End::kKept, ""};
  }

  const LockSpec& lock_;
  const LockOps& ops_;
  const std::string& path_;
  Scene& scene_;
  std::vector<std::size_t> waits_;
};

}  // namespace

bool waits_asleep(const LockSpec& lock) {
  return lock.claims.waits_asleep && fits_stage(lock) && lock.claims.max_workers > kMostWaiters &&
         (!lock.claims.semaphore || lock.claims.permits == 1);
}

Played try_asleep(const LockSpec& lock, const std::string& path, int) {
  RealPlatform::registry();  // Before the processes are forked, so that they share it.
  SharedStage<Scene> scene;
  if (!scene) return {End::kRefused, "no memory"};
  return Play(lock, path, *scene).run();
}

}  // namespace hobbs::gang
