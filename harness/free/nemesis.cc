#include "harness/free/nemesis.h"

#include <sched.h>
#include <time.h>

#include <utility>

#include "harness/free/arena.h"

namespace hobbs::gang {
namespace {

constexpr std::pair<Nemesis::Kind, std::string_view> kNames[] = {
    {Nemesis::Kind::kNone, "none"},
    {Nemesis::Kind::kChurn, "churn"},
    {Nemesis::Kind::kYields, "yields"},
    {Nemesis::Kind::kDelays, "delays"},
};

thread_local Dice* hook_dice = nullptr;
thread_local std::atomic<std::uint64_t>* hook_struck = nullptr;

void count_strike() { hook_struck->fetch_add(1, std::memory_order_relaxed); }

// A spin loop passes hook points without end; striking at each would only make the run slow.
bool strikes(HookPoint point, std::uint32_t one_in) {
  const bool idle = point == HookPoint::kPause || point == HookPoint::kYield;
  return hook_dice->below(idle ? 8 * one_in : one_in) == 0;
}

void yield_hook(HookPoint point, bool) {
  if (!strikes(point, 4)) return;
  count_strike();
  sched_yield();
}

void delay_hook(HookPoint point, bool) {
  if (!strikes(point, 12)) return;
  count_strike();
  const std::uint32_t draw = hook_dice->below(100);
  if (draw < 60) {
    spin_for_ns(200 + hook_dice->below(20'000));
  } else if (draw < 97) {
    sched_yield();
  } else {
    const timespec time{0, 20'000 + static_cast<long>(hook_dice->below(500'000))};
    nanosleep(&time, nullptr);
  }
}

}  // namespace

std::string_view to_string(Nemesis::Kind kind) {
  for (const auto& [known, name] : kNames) {
    if (known == kind) return name;
  }
  return "?";
}

bool parse_nemesis(std::string_view text, Nemesis::Kind& kind) {
  for (const auto& [known, name] : kNames) {
    if (name != text) continue;
    kind = known;
    return true;
  }
  return false;
}

bool needs_hooks(Nemesis::Kind kind) {
  return kind == Nemesis::Kind::kYields || kind == Nemesis::Kind::kDelays;
}

void arm_hooks(Nemesis::Kind kind, Dice* dice, std::atomic<std::uint64_t>* struck) {
  hook_dice = dice;
  hook_struck = struck;
  current_hook = kind == Nemesis::Kind::kYields   ? yield_hook
                 : kind == Nemesis::Kind::kDelays ? delay_hook
                                                  : nullptr;
}

void spin_for_ns(std::int64_t ns) {
  for (const std::int64_t until = now_ns() + ns; now_ns() < until;) {
  }
}

}  // namespace hobbs::gang
