// Scenarios that are no programs of workers: each a scene of a few processes with parts of their
// own, played from beginning to end, and judged by what they came to.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "harness/driver.h"
#include "harness/free/gang.h"
#include "harness/free/stage.h"
#include "reports/replay_case.h"

namespace hobbs::gang {

struct Scene {
  const char* name;
  const char* rule;
  const char* about;
  /// Whether it means anything for this lock.
  bool (*fits)(const LockSpec& lock);
  /// Plays it once; later attempts have more patience. A lock is told to break its promise only if
  /// it did so in every attempt.
  Played (*play)(const LockSpec& lock, const std::string& path, int attempt);
  const char* program;  // What the parts do, in words.
  const char* kept;     // What a pass says ...
  const char* broken;   // ... and what a finding.
};

std::span<const Scene> scenes();
/// Null if there is no such scene.
const Scene* find_scene(const std::string& name);

/// Plays one until it is clear what it comes to.
Result play_scene(const Scene& scene, const LockSpec& lock, const Request& request);
/// Plays those that fit and are asked for, up to the first that fails, each once at least, and
/// again within a quarter of the time.
std::vector<Result> play_scenes(const LockSpec& lock, const Request& request);

/// What each result and each replay file of this driver says.
Result base_result(const LockSpec& lock, const std::string& scenario, std::string topology,
                   std::string rule);
ReplayCase replay_case(const LockSpec& lock, const std::string& scenario, const Job& job,
                       const std::string& rule);

}  // namespace hobbs::gang
