#include "harness/free/deadlock.h"

#include <fmt/format.h>
#include <time.h>

#include <array>

#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using End = Played::End;

constexpr milliseconds kPatience{300};
constexpr milliseconds kToFallAsleep{20};
constexpr std::chrono::seconds kDeadline{600};
constexpr const char* kStarved = "the processes had no processor";

/// A process that holds a lock and asks for one that it cannot have.
struct Asker {
  std::atomic<std::uint32_t> holds, asks, answered, leave, left;
  std::atomic<Outcome> outcome;
};
struct Scene {
  std::array<Asker, 2> askers;
  std::atomic<std::uint32_t> tried;
  std::array<std::atomic<Outcome>, 2> found;  // What a third one's try of each lock was told.
  StageLock locks[2];
};

void sleep_for(milliseconds time) {
  const timespec nap{0, nanoseconds(time).count()};
  ::nanosleep(&nap, nullptr);
}

bool found_deadlock(const Asker& asker) { return asker.outcome.load() == Outcome::kDeadlock; }

class Play {
 public:
  Play(const LockSpec& lock, const std::string& path, int attempt, Scene& scene)
      : lock_(lock),
        ops_(lock.real),
        path_(path),
        patience_(kPatience * (1 << attempt)),
        scene_(scene) {
    for (std::size_t i = 0; i < 2 && lock_.home == Home::kMemory; ++i) {
      ops_.construct(scene_.locks[i].bytes, path_of(i).c_str());
    }
  }

  Played own(bool timed) {
    Cast cast;
    Asker& self = scene_.askers[0];
    if (!cast.enter([&] { ask_again(self, timed); })) return {End::kUnsure, "cannot fork"};
    if (!wait_for(self.asks, kStagePatience)) {
      return {End::kUnsure, "the process did not get the free lock"};
    }
    const char* const call = timed ? "timed lock" : "lock";
    const Awaited awaited = await(cast, patience_, [&] { return self.answered.load() != 0; });
    if (awaited == Awaited::kStarved) return {End::kUnsure, kStarved};
    if (awaited == Awaited::kInVain) {
      return {End::kBroken, fmt::format("the holder's second {} was not answered in {} ms", call,
                                        patience_.count())};
    }
    if (found_deadlock(self)) return {End::kKept, ""};
    return {End::kUnsure, fmt::format("the holder's second {} was told \"{}\"", call,
                                      to_string(self.outcome.load()))};
  }

  Played ring(bool kept) {
    Cast cast;
    for (std::size_t i = 0; i < 2; ++i) {
      if (!cast.enter([this, i] { ask(i); })) return {End::kUnsure, "cannot fork"};
    }
    for (Asker& asker : scene_.askers) {
      if (!wait_for(asker.asks, kStagePatience)) {
        return {End::kUnsure, "the processes did not get the free locks"};
      }
    }
    const Awaited awaited = await(cast, patience_, [this] { return who_was_answered() >= 0; });
    if (awaited == Awaited::kStarved) return {End::kUnsure, kStarved};
    if (awaited == Awaited::kInVain) {
      return {End::kBroken, fmt::format("two processes, each with the lock that the other asked "
                                        "for, were not answered in {} ms",
                                        patience_.count())};
    }
    const int refused = who_was_answered();
    Asker& victim = scene_.askers[static_cast<std::size_t>(refused)];
    if (holds(victim.outcome.load()))
      return let_in_unreleased(scene_.askers[static_cast<std::size_t>(1 - refused)], kept);
    if (!found_deadlock(victim)) {
      return {End::kUnsure,
              fmt::format("one of the two was told \"{}\"", to_string(victim.outcome.load()))};
    }
    return kept ? look_at_the_rest(cast, static_cast<std::size_t>(refused))
                : Played{End::kKept, ""};
  }

 private:
  std::string path_of(std::size_t i) const { return fmt::format("{}.{}", path_, i); }
  void* object(std::size_t i) const { return object_of(lock_, scene_.locks[i].bytes, path_of(i)); }

  void ask_again(Asker& self, bool timed) {
    RealPlatform::attach(1);
    void* const lock = object(0);
    if (!holds(ops_.acquire(lock))) return;
    const std::int64_t deadline_ns =
        (RealPlatform::now() + kDeadline).time_since_epoch() / nanoseconds(1);
    tell(self.asks);
    self.outcome.store(timed ? ops_.acquire_until(lock, deadline_ns) : ops_.acquire(lock));
    tell(self.answered);
  }

  void ask(std::size_t i) {
    RealPlatform::attach(static_cast<std::uint32_t>(i + 1));
    std::array<void*, 2> locks{object(0), object(1)};
    Asker& self = scene_.askers[i];
    Asker& other = scene_.askers[1 - i];
    if (!holds(ops_.acquire(locks[i]))) return;
    tell(self.holds);
    if (!wait_for(other.holds, kStagePatience)) return;
    if (i == 1 && !wait_for(other.asks, kStagePatience)) return;
    if (i == 1) sleep_for(kToFallAsleep);  // So that it is this one, mostly, that closes the ring.
    tell(self.asks);
    const Outcome outcome = ops_.acquire(locks[1 - i]);
    self.outcome.store(outcome);
    tell(self.answered);
    wait_until_told(self.leave);  // Whoever ended would give its locks back.
    if (holds(outcome)) ops_.release(locks[1 - i]);
    ops_.release(locks[i]);
    tell(self.left);
    ::pause();  // Locks on a path last as long as the process.
  }

  /// One of the two that was answered; -1 if there is none yet.
  int who_was_answered() const {
    for (int i = 0; i < 2; ++i) {
      if (scene_.askers[static_cast<std::size_t>(i)].answered.load() != 0) return i;
    }
    return -1;
  }

  /// One of the two has got the lock of the other one, which has released nothing.
  static Played let_in_unreleased(Asker& other, bool kept) {
    if (!wait_for(other.answered, kStagePatience) || !found_deadlock(other)) {
      return {End::kUnsure, "a process got a lock that was not released"};
    }
    if (!kept) return {End::kKept, ""};
    return {End::kBroken, "a process got the lock of the refused one, which had not released it"};
  }

  void try_both() {
    RealPlatform::attach(3);
    for (std::size_t i = 0; i < 2; ++i) scene_.found[i].store(ops_.try_acquire(object(i)));
    tell(scene_.tried);
    ::pause();
  }

  /// Both locks must still be held, and the other one of the two must get its answer only when the
  /// refused one has released.
  Played look_at_the_rest(Cast& cast, std::size_t refused) {
    Asker& victim = scene_.askers[refused];
    Asker& survivor = scene_.askers[1 - refused];
    if (!cast.enter([this] { try_both(); })) return {End::kUnsure, "cannot fork"};
    if (!wait_for(scene_.tried, kStagePatience)) return {End::kUnsure, "a try did not come back"};
    for (std::size_t i = 0; i < 2; ++i) {
      if (!holds(scene_.found[i].load())) continue;
      return {End::kBroken, fmt::format("a third process got the lock of the {} one",
                                        i == refused ? "refused" : "waiting")};
    }
    if (survivor.answered.load() != 0) return let_in_unreleased(victim, true);
    tell(victim.leave);
    if (!wait_for(victim.left, kStagePatience) || !wait_for(survivor.answered, kStagePatience)) {
      return {End::kUnsure, "the other process did not get the released lock"};
    }
    if (!holds(survivor.outcome.load())) {
      return {End::kUnsure,
              fmt::format("the other was told \"{}\"", to_string(survivor.outcome.load()))};
    }
    return {End::kKept, ""};
  }

  const LockSpec& lock_;
  const LockOps& ops_;
  const std::string& path_;
  const milliseconds patience_;
  Scene& scene_;
};

}  // namespace

bool finds_own_deadlock(const LockSpec& lock) {
  return lock.claims.finds_deadlock == Deadlock::kOwn && fits_stage(lock) && !lock.claims.semaphore;
}

bool finds_ring(const LockSpec& lock) {
  return lock.claims.finds_deadlock == Deadlock::kRing && fits_stage(lock) &&
         !lock.claims.semaphore && lock.real.try_acquire != nullptr;
}

Played try_own_deadlock(const LockSpec& lock, const std::string& path, int attempt) {
  RealPlatform::registry();  // Before the processes are forked, so that they share it.
  for (const bool timed : {false, true}) {
    if (timed && lock.real.acquire_until == nullptr) break;
    SharedStage<Scene> scene;
    if (!scene) return {End::kRefused, "no memory"};
    const Played played =
        Play(lock, fmt::format("{}.{}", path, timed ? 1 : 0), attempt, *scene).own(timed);
    if (played.end != End::kKept) return played;
  }
  return {End::kKept, ""};
}

Played try_ring(const LockSpec& lock, const std::string& path, int attempt) {
  RealPlatform::registry();
  SharedStage<Scene> scene;
  if (!scene) return {End::kRefused, "no memory"};
  return Play(lock, path, attempt, *scene).ring(false);
}

Played try_ring_kept(const LockSpec& lock, const std::string& path, int attempt) {
  RealPlatform::registry();
  SharedStage<Scene> scene;
  if (!scene) return {End::kRefused, "no memory"};
  return Play(lock, path, attempt, *scene).ring(true);
}

}  // namespace hobbs::gang
