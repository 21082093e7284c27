#include "harness/free/zeroed.h"

#include <fmt/format.h>

#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

using std::chrono::milliseconds;
using End = Played::End;

constexpr std::uint32_t kPlayers = 2;
constexpr std::uint64_t kSections = 100;  // Of each.
constexpr milliseconds kPatience{300};

struct Scene {
  std::atomic<std::uint32_t> done[kPlayers];
  std::atomic<std::uint64_t> counter;  // Counted up inside, in two steps.
  std::atomic<bool> refused;
  std::atomic<Outcome> outcome;  // Of the call that was refused.
  StageLock lock;
};

void use(const LockSpec& lock, Scene& scene, std::uint32_t player) {
  RealPlatform::attach(player + 1);
  for (std::uint64_t i = 0; i < kSections; ++i) {
    const Outcome outcome = lock.real.acquire(scene.lock.bytes);
    if (!holds(outcome)) {
      scene.outcome.store(outcome);
      scene.refused.store(true);
      return;
    }
    scene.counter.store(scene.counter.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
    lock.real.release(scene.lock.bytes);
  }
  scene.done[player].store(1);
}

bool all_done(const Scene& scene) {
  for (const std::atomic<std::uint32_t>& done : scene.done) {
    if (done.load() == 0) return false;
  }
  return true;
}

/// Waits as long as there is progress.
Awaited see_it_through(const Scene& scene, const Cast& cast, milliseconds patience) {
  for (;;) {
    const std::uint64_t seen = scene.counter.load();
    const auto ended = [&scene] { return all_done(scene) || scene.refused.load(); };
    const Awaited awaited =
        await(cast, patience, [&] { return ended() || scene.counter.load() != seen; });
    if (awaited != Awaited::kCame || ended()) return awaited;
  }
}

}  // namespace

bool is_free_when_zero(const LockSpec& lock) {
  return lock.claims.zero_is_free && lock.home == Home::kMemory && fits_stage(lock);
}

Played try_zeroed(const LockSpec& lock, const std::string&, int attempt) {
  RealPlatform::registry();  // Before the processes are forked, so that they share it.
  SharedStage<Scene> scene;
  if (!scene) return {End::kRefused, "no memory"};
  Cast cast;
  for (std::uint32_t player = 0; player < kPlayers; ++player) {
    if (!cast.enter([&] { use(lock, *scene, player); })) return {End::kUnsure, "cannot fork"};
  }
  const milliseconds patience = kPatience * (1 << attempt);
  const Awaited awaited = see_it_through(*scene, cast, patience);
  if (scene->refused.load()) {
    return {End::kBroken,
            fmt::format("an acquire was told \"{}\"", to_string(scene->outcome.load()))};
  }
  const std::uint64_t counted = scene->counter.load();
  if (awaited == Awaited::kStarved) return {End::kUnsure, "the processes had no processor"};
  if (awaited == Awaited::kInVain) {
    return {End::kBroken, fmt::format("nobody got in for {} ms, after {} of {} sections",
                                      patience.count(), counted, kPlayers * kSections)};
  }
  if (counted == kPlayers * kSections) return {End::kKept, ""};
  return {End::kBroken, fmt::format("two were inside at once: {} of {} updates are left", counted,
                                    kPlayers * kSections)};
}

}  // namespace hobbs::gang
