#include "harness/explore/strategies.h"

#include <algorithm>

#include "harness/explore/guided.h"
#include "harness/explore/partial_order_sampling.h"
#include "harness/explore/random_walk.h"

namespace hobbs::explore {
namespace {

/// The depth of the bugs that PCT aims at: from 2 on, in turn.
constexpr std::uint32_t kDepths = 4;

constexpr DrawnStrategy kDrawn[] = {
    {.name = "random",
     .make = [](std::uint64_t seed, std::uint32_t) -> std::unique_ptr<Strategy> {
       return std::make_unique<RandomWalk>(seed);
     }},
    {.name = "pos",
     .make = [](std::uint64_t seed, std::uint32_t) -> std::unique_ptr<Strategy> {
       return std::make_unique<PartialOrderSampling>(seed);
     },
     .by_what_is_pending = true},
    {.name = "pct",
     .make = [](std::uint64_t seed, std::uint32_t round) -> std::unique_ptr<Strategy> {
       return std::make_unique<Priorities>(seed, 2 + static_cast<int>(round % kDepths));
     }},
};

}  // namespace

std::span<const DrawnStrategy> drawn_strategies() { return kDrawn; }

const DrawnStrategy* drawn_strategy(std::string_view name) {
  const auto* const found = std::ranges::find(kDrawn, name, &DrawnStrategy::name);
  return found == std::end(kDrawn) ? nullptr : found;
}

std::unique_ptr<Strategy> strategy_in_turn(std::uint64_t seed, std::uint32_t round) {
  const std::uint32_t others = std::size(kDrawn) - 1;
  if (round % 2 == 0) return kDrawn[0].make(seed, round / 2);
  return kDrawn[1 + round / 2 % others].make(seed, round / 2 / others);
}

}  // namespace hobbs::explore
