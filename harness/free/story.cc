#include "harness/free/story.h"

#include <fmt/format.h>

#include <algorithm>

namespace hobbs::gang {
namespace {

constexpr std::uint32_t kCallsShown = 6;

/// A worker's last calls: a call and its return become one moment.
void add_calls(const Slot& slot, bool marked, std::vector<Moment>& story) {
  const std::uint32_t end = slot.written.load();
  std::uint32_t at = end > 2 * kCallsShown ? end - 2 * kCallsShown : 0;
  const std::size_t before = story.size();
  for (; at < end; ++at) {
    const Event& event = slot.events[at % kEventsKept];
    if (event.kind == Event::Kind::kReturn) {
      if (story.size() == before) continue;  // Its call is not kept.
      story.back().to_ns = event.at_ns;
      story.back().text += fmt::format(": {}", to_string(event.outcome));
    } else {
      story.push_back({slot.id.load(), call_words(event.verb, event.mode, event.lock), "",
                       event.at_ns, -1, false});
    }
  }
  if (story.size() == before) return;
  if (story.back().to_ns < 0) {
    story.back().text += slot.dying.load() != 0 ? ": dies in it" : ": has not returned";
  }
  story.back().evidence = marked;
}

}  // namespace

std::string call_words(Verb verb, Mode mode, std::uint8_t lock) {
  const std::string suffix = mode == Mode::kShared ? "_shared" : "";
  std::string words;
  switch (verb) {
    case Verb::kTry: words = "try_lock" + suffix; break;
    case Verb::kTimed: words = "try_lock" + suffix + "_until"; break;
    case Verb::kAcquire: words = "lock" + suffix; break;
    case Verb::kUpgrade: words = "upgrade"; break;
    case Verb::kTryUpgrade: words = "try_upgrade"; break;
    case Verb::kDowngrade: words = "downgrade"; break;
    case Verb::kMisuse: words = "a stranger's unlock" + suffix; break;
    default: words = "unlock" + suffix; break;
  }
  if (lock != 0) words += fmt::format("#{}", lock);
  return words;
}

std::vector<Moment> story_of(const Arena& arena, std::uint32_t worker, std::uint32_t other) {
  std::vector<Moment> story;
  for (std::uint32_t i = 0; i < arena.workers.load(); ++i) {
    const std::uint32_t id = arena.slots[i].id.load();
    add_calls(arena.slots[i], id == worker || id == other, story);
  }
  std::stable_sort(story.begin(), story.end(),
                   [](const Moment& a, const Moment& b) { return a.from_ns < b.from_ns; });
  if (story.empty()) return story;
  const std::int64_t begin = story.front().from_ns;
  for (Moment& moment : story) {
    moment.from_ns -= begin;
    if (moment.to_ns >= 0) moment.to_ns -= begin;
  }
  return story;
}

std::vector<std::string> holders_of(const Arena& arena) {
  std::vector<std::string> words;
  for (std::uint32_t i = 0; i < arena.workers.load(); ++i) {
    const Slot& slot = arena.slots[i];
    for (std::size_t lock = 0; lock < kMaxLocksPerProgram; ++lock) {
      const std::uint8_t inside = slot.inside[lock].load();
      if (inside == kOutside) continue;
      words.push_back(fmt::format("worker {} is inside lock {} {}", slot.id.load(), lock,
                                  inside == kInsideShared ? "shared" : "exclusively"));
    }
  }
  return words;
}

}  // namespace hobbs::gang
