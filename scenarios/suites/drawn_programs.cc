#include "scenarios/suites/drawn_programs.h"

#include <rapidcheck.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "scenarios/suites/small_programs.h"

namespace hobbs {
namespace {

using Steps = std::vector<Step>;

constexpr std::uint32_t kWorkersMax = 5;
constexpr int kSectionsMax = 3;
constexpr std::uint32_t kPresetMax = 3;
constexpr std::int64_t kMillisecond = 1'000'000;

/// From 0; RapidCheck would scale it with the size, which this is none of.
rc::Gen<int> below(int end) { return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end)); }

Steps at_lock(Steps section, std::uint8_t lock) {
  for (Step& step : section) step.lock = lock;
  return section;
}

Steps within(Steps section) {
  section.insert(section.begin(), {Verb::kAcquire, Mode::kExclusive, 0, 0});
  section.push_back({Verb::kRelease, Mode::kExclusive, 0, 0});
  return section;
}

/// The section with something special about it, mostly nothing.
Steps dressed(Steps section, int what, std::int64_t ms, bool in_memory, bool reentrant) {
  for (Step& step : section) {
    if (step.verb == Verb::kTimed) step.amount = ms * kMillisecond;
    if (step.verb == Verb::kWork && what >= 50 && what < 60) step.amount = ms * kMillisecond;
  }
  if (what >= 60 && what < 70) {
    section.insert(section.begin(), {Verb::kRest, Mode::kExclusive, 0, ms * kMillisecond});
  }
  if (what >= 70 && what < 80 && in_memory) return at_lock(std::move(section), 1);
  if (what >= 80 && what < 90 && in_memory) return within(at_lock(std::move(section), 1));
  const auto is_shared = [](const Step& step) { return step.mode == Mode::kShared; };
  if (what >= 90 && reentrant && std::none_of(section.begin(), section.end(), is_shared)) {
    return within(std::move(section));
  }
  return section;
}

Steps joined(const std::vector<Steps>& sections) {
  Steps script;
  for (const Steps& section : sections) {
    script.insert(script.end(), section.begin(), section.end());
  }
  return script;
}

/// `each` from one up to `most` times.
template <class T>
rc::Gen<std::vector<T>> several(int least, int most, rc::Gen<T> each) {
  return rc::gen::mapcat(below(most - least + 1), [=](int more) {
    return rc::gen::container<std::vector<T>>(static_cast<std::size_t>(least + more), each);
  });
}

}  // namespace

Program drawn_program(const LockSpec& lock, std::uint64_t seed) {
  const std::vector<Steps> kinds = sections_of(lock);
  const auto workers_max = static_cast<int>(std::min(lock.claims.max_workers, kWorkersMax));
  if (kinds.empty() || workers_max < 2) return {};
  const bool in_memory = lock.home == Home::kMemory;
  const bool reentrant = lock.claims.reentrant;
  const auto section = rc::gen::apply(
      [=](Steps kind, int what, int ms) {
        return dressed(std::move(kind), what, 1 + ms, in_memory, reentrant);
      },
      rc::gen::elementOf(kinds), below(100), below(4));
  const auto script = rc::gen::map(several<Steps>(1, kSectionsMax, section), joined);
  const auto gen =
      rc::gen::pair(several<Steps>(2, workers_max, script), below(4 * (kPresetMax + 1)));
  auto [workers, preset] = gen(rc::Random(seed), rc::kNominalSize).value();
  Program program;
  program.workers = std::move(workers);
  // Used a few times before, or, mostly, not.
  if (static_cast<std::uint32_t>(preset) <= kPresetMax && in_memory) program.preset = preset;
  return program;
}

}  // namespace hobbs
