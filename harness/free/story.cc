#include "harness/free/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "harness/free/recorder.h"

namespace hobbs::gang {
namespace {

constexpr std::uint32_t kCallsShown = 6;

bool is_dead(const Arena& arena, std::uint32_t worker) {
  for (std::uint32_t i = 0; i < arena.workers.load(); ++i) {
    const Slot& slot = arena.slots[i];
    if (slot.id.load() == worker && slot.dying.load() != 0) return true;
  }
  return false;
}

/// A worker's last calls that began by `until_ns`.
void add_calls(const Arena& arena, std::size_t index, std::int64_t until_ns,
               std::vector<Operation>& calls) {
  const Slot& slot = arena.slots[index];
  const Record* const ring = arena.records_of(index);
  std::uint32_t at = slot.written.load();
  for (std::uint32_t shown = 0; at > oldest_record(slot) && shown < kCallsShown;) {
    const Operation call = operation_of(ring[--at % kRecordsKept], slot.id.load(), arena.clock);
    if (call.invoked_ns > until_ns) continue;
    calls.push_back(call);
    ++shown;
  }
}

std::vector<Moment> told(std::vector<Operation> calls, const Arena& arena,
                         const std::function<bool(const Operation&)>& is_evidence) {
  std::stable_sort(calls.begin(), calls.end(), [](const Operation& a, const Operation& b) {
    return a.invoked_ns < b.invoked_ns;
  });
  std::vector<Moment> story;
  for (const Operation& call : calls) {
    Moment moment;
    moment.worker = call.worker;
    moment.text = call_words(call.verb, call.mode, call.lock) + ": ";
    moment.text += !call.pending                 ? to_string(call.outcome)
                   : is_dead(arena, call.worker) ? "dies in it"
                                                 : "has not returned";
    moment.from_ns = call.invoked_ns - calls.front().invoked_ns;
    if (!call.pending) moment.to_ns = call.returned_ns - calls.front().invoked_ns;
    moment.evidence = is_evidence(call);
    story.push_back(std::move(moment));
  }
  return story;
}

bool is_same(const Operation& a, const Operation& b) {
  return a.worker == b.worker && a.lock == b.lock && a.invoked_ns == b.invoked_ns;
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
  std::vector<Operation> calls, marked;
  for (std::uint32_t i = 0; i < arena.workers.load(); ++i) {
    const std::size_t before = calls.size();
    add_calls(arena, i, INT64_MAX, calls);
    const std::uint32_t id = arena.slots[i].id.load();
    if (calls.size() > before && (id == worker || id == other)) marked.push_back(calls[before]);
  }
  return told(std::move(calls), arena, [&](const Operation& call) {
    return std::any_of(marked.begin(), marked.end(),
                       [&](const Operation& last) { return is_same(last, call); });
  });
}

std::vector<Moment> story_of(const Arena& arena, const std::vector<Operation>& evidence) {
  std::int64_t until_ns = INT64_MIN;
  for (const Operation& call : evidence) {
    until_ns = std::max(until_ns, call.pending ? call.invoked_ns : call.returned_ns);
  }
  std::vector<Operation> calls = evidence;
  for (std::uint32_t i = 0; i < arena.workers.load(); ++i) {
    std::vector<Operation> own;
    add_calls(arena, i, until_ns, own);
    std::erase_if(own, [&](const Operation& call) {
      return std::any_of(evidence.begin(), evidence.end(),
                         [&](const Operation& known) { return is_same(known, call); });
    });
    calls.insert(calls.end(), own.begin(), own.end());
  }
  return told(std::move(calls), arena, [&](const Operation& call) {
    return std::any_of(evidence.begin(), evidence.end(),
                       [&](const Operation& known) { return is_same(known, call); });
  });
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
