#include "harness/free/stall.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "harness/free/nemesis.h"
#include "harness/free/story.h"
#include "harness/free/wait_place.h"

namespace hobbs::gang {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSuspect{50};
constexpr milliseconds kLookEvery{8};
constexpr milliseconds kLate{60};  // A look that comes later tells nothing of the workers.
constexpr int kLooksNeeded = 12;   // In time, since the suspicion began.
constexpr int kAsleepLooks = 12;   // Asleep in a row, without having run.
constexpr milliseconds kInVainMin{500};
constexpr std::int64_t kInVainNs = 80'000'000;  // Of the processor's time, in one call.
constexpr std::int64_t kInVainTurns = 16;       // Or so many times given the processor.
constexpr std::int64_t kOwnLooks = 3;  // Turns of who polls: in each it looks whether it may go on.
constexpr std::int64_t kPastDeadlineNs = 200'000'000;
constexpr std::string_view kOpening = "asleep in open";  // As evidence.cc has it.
constexpr milliseconds kHopeless{10'000};

}  // namespace

std::uint64_t StallWatch::progress() const {
  std::uint64_t sum = arena_.round.load();
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    sum += arena_.slots[i].progress.load(std::memory_order_relaxed);
  }
  return sum;
}

/// Whether a worker is still on its way to being another program: what the kernel takes from it
/// then may not have been taken yet.
bool StallWatch::somebody_becomes() const {
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    const Slot& slot = arena_.slots[i];
    if (slot.becoming.load() != 0 && !is_asleep_as(slot.process.load(), kOtherProgram)) return true;
  }
  return false;
}

bool StallWatch::hopeless() const { return suspicious_ && Clock::now() - moved_ > kHopeless; }

StallWatch::Standing StallWatch::standing_of(const Slot& slot) const {
  if (slot.forked.load() != 0) return Standing::kGoesOn;
  if (slot.dying.load() != 0) return Standing::kAtGate;
  const Watch::Story story = watch_.story(slot.process.load(), slot.thread.load());
  const bool asleep = story.last.rest == Rest::kWaits && story.looks >= kAsleepLooks;
  // The gate or the meet may have opened, and the worker had no processor to see it; but who sleeps
  // until its child ends is woken by nothing else.
  const bool has_looked = asleep || story.turns >= kOwnLooks || story.run_ns >= kInVainNs;
  switch (slot.stage.load()) {
    case Stage::kDone: return Standing::kAtGate;
    case Stage::kWaiting: return has_looked ? Standing::kAtGate : Standing::kGoesOn;
    case Stage::kMeeting: return has_looked ? Standing::kMeets : Standing::kGoesOn;
    case Stage::kCalling: break;
    default: return Standing::kGoesOn;
  }
  const std::int64_t deadline = slot.deadline_ns.load();
  if (deadline != INT64_MAX && now_ns() < deadline + kPastDeadlineNs) return Standing::kGoesOn;
  const bool at_fifo = arena_.hostile.load() != 0 && story.last.where == kOpening;
  if (asleep || (at_fifo && story.looks >= kAsleepLooks)) return Standing::kAsleep;
  const bool tried = story.run_ns >= kInVainNs || story.turns >= kInVainTurns;
  return tried && Clock::now() - suspected_ >= kInVainMin ? Standing::kInVain : Standing::kGoesOn;
}

std::optional<Breach> StallWatch::look(const std::vector<pid_t>& processes) {
  const auto now = Clock::now();
  const std::uint64_t sum = progress();
  if (sum != last_progress_) {
    last_progress_ = sum;
    moved_ = now;
    suspicious_ = false;
    return std::nullopt;
  }
  if (now - moved_ < kSuspect) return std::nullopt;
  if (!suspicious_ || somebody_becomes()) {
    suspicious_ = true;
    suspected_ = last_look_ = now;
    looks_in_time_ = 0;
    watch_ = Watch();
    watch_.look(processes);
    return std::nullopt;
  }
  if (now - last_look_ < kLookEvery) return std::nullopt;
  if (now - last_look_ < kLate) ++looks_in_time_;
  last_look_ = now;
  watch_.look(processes);
  if (looks_in_time_ < kLooksNeeded) return std::nullopt;
  std::vector<Standing> standings;
  bool any_call = false;
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    standings.push_back(standing_of(arena_.slots[i]));
    if (standings.back() == Standing::kGoesOn) return std::nullopt;
    any_call |= standings.back() == Standing::kAsleep || standings.back() == Standing::kInVain;
  }
  if (!any_call || progress() != last_progress_) return std::nullopt;
  return breach(standings);
}

/// What the death of a worker must not have left behind.
std::string StallWatch::rule_of_dead(const Slot& slot, std::string* words) const {
  const std::uint32_t id = slot.id.load();
  for (const auto& inside : slot.inside) {
    if (inside.load() == kOutside) continue;
    const bool shared = inside.load() == kInsideShared;
    *words = fmt::format("worker {} died while it was inside{}", id, shared ? " shared" : "");
    return "CR-5";
  }
  const auto verb = static_cast<Verb>(slot.verb.load());
  *words = fmt::format("worker {} died in {}", id,
                       call_words(verb, static_cast<Mode>(slot.mode.load()), slot.lock.load()));
  return "CR-5";
}

/// Which promise is broken: told by where the callers wait and who is inside.
std::string StallWatch::rule_of(const std::vector<Standing>& standings,
                                std::string* summary) const {
  bool meeting = false, releasing = false, trying = false, somebody_inside = false;
  bool inherited = false, writer_waits = false, outstaying = false;
  std::string death, rule_of_death;
  std::string callers;
  for (std::size_t i = 0; i < standings.size(); ++i) {
    const Slot& slot = arena_.slots[i];
    inherited |= slot.child.load() != 0;
    if (slot.dying.load() != 0) rule_of_death = rule_of_dead(slot, &death);
    meeting |= standings[i] == Standing::kMeets;
    for (const auto& inside : slot.inside) somebody_inside |= inside.load() != kOutside;
    if (standings[i] != Standing::kAsleep && standings[i] != Standing::kInVain) continue;
    const Verb verb = static_cast<Verb>(slot.verb.load());
    writer_waits |=
        verb == Verb::kUpgrade ||
        (verb == Verb::kAcquire && static_cast<Mode>(slot.mode.load()) == Mode::kExclusive);
    trying |= verb == Verb::kTry || verb == Verb::kTryUpgrade;
    outstaying |= verb == Verb::kTimed && slot.deadline_ns.load() != INT64_MAX;  // It is past.
    releasing |= verb == Verb::kRelease || verb == Verb::kDowngrade;
    callers += fmt::format("{}worker {} in {}", callers.empty() ? "" : ", ", slot.id.load(),
                           call_words(verb, static_cast<Mode>(slot.mode.load()), slot.lock.load()));
  }
  if (!death.empty()) {
    *summary = fmt::format("{}, and nobody gets the lock any more: {}", death, callers);
    return rule_of_death;
  }
  if (inherited && !somebody_inside) {
    *summary = fmt::format(
        "nobody is inside, and the lock is kept by a process that was started "
        "meanwhile: {}",
        callers);
    return "FK-5";
  }
  if (trying) {
    *summary = fmt::format("a try waits, and nobody moves: {}", callers);
    return "TR-1";
  }
  if (outstaying && somebody_inside) {
    *summary =
        fmt::format("a timed call waits on after its deadline, for one who stays: {}", callers);
    return "TO-3";
  }
  if (releasing) {
    *summary = fmt::format("a release never ends, and nobody moves: {}", callers);
    return "LV-2";
  }
  // A lock may hold readers back for a writer that waits, and then they do not meet.
  const bool held_back = writer_waits && !lock_.claims.semaphore &&
                         lock_.claims.fairness != Fairness::kReaderPreference;
  if (meeting && held_back) return "";
  if (meeting) {
    *summary = fmt::format("those who may be inside together are not let in together: {}", callers);
    return lock_.claims.semaphore ? "LV-1" : "RW-2";
  }
  if (!somebody_inside) {
    *summary = fmt::format("nobody is inside, and who waits is never woken: {}", callers);
    return "LV-1";
  }
  *summary = fmt::format("the workers wait for each other for ever: {}", callers);
  return "LV-2";
}

std::int64_t StallWatch::ms_in_call(std::size_t index) const {
  const Slot& slot = arena_.slots[index];
  if (slot.written.load() == 0) return 0;  // It has not come to the call yet.
  const Record& last = arena_.records_of(index)[(slot.written.load() - 1) % kRecordsKept];
  return (now_ns() - arena_.clock.to_ns(last.invoked.load())) / 1'000'000;
}

Breach StallWatch::breach(const std::vector<Standing>& standings) const {
  Breach breach;
  breach.rule = rule_of(standings, &breach.summary);
  const auto waited =
      std::chrono::duration_cast<milliseconds>(Clock::now() - suspected_ + kSuspect).count();
  for (std::size_t i = 0; i < standings.size(); ++i) {
    const Slot& slot = arena_.slots[i];
    const Watch::Story story = watch_.story(slot.process.load(), slot.thread.load());
    std::string doing;
    switch (standings[i]) {
      case Standing::kAtGate:
        doing = slot.dying.load() != 0 ? "is dead" : "has nothing left to do in this round";
        break;
      case Standing::kMeets: doing = "is inside and waits for others to come in"; break;
      default:
        doing = fmt::format("in {} for {} ms, {}{}",
                            call_words(static_cast<Verb>(slot.verb.load()),
                                       static_cast<Mode>(slot.mode.load()), slot.lock.load()),
                            ms_in_call(i), story.last.where,
                            standings[i] == Standing::kAsleep
                                ? fmt::format(", not having run in {} looks", story.looks)
                                : fmt::format(", {} ms of processor in {} turns in vain",
                                              story.run_ns / 1'000'000, story.turns));
        // A slow file system may open slowly, which would not recur.
        breach.proven =
            breach.proven && standings[i] == Standing::kAsleep && story.last.where != kOpening;
    }
    const bool waits = standings[i] == Standing::kAsleep || standings[i] == Standing::kInVain;
    const std::string place =
        waits ? wait_place(arena_, i, lock_.home == Home::kMemory ? lock_.real.size : 0) : "";
    breach.evidence.push_back(fmt::format("worker {} (thread {}): {}{}{}", slot.id.load(),
                                          slot.thread.load(), doing, place.empty() ? "" : "; ",
                                          place));
  }
  breach.evidence.push_back(
      fmt::format("nothing moved for {} ms; the watching process was on time at {} looks of that",
                  waited, looks_in_time_));
  return breach;
}

}  // namespace hobbs::gang
