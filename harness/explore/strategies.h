// The strategies that can be named.
//
// A new one that draws is one entry in strategies.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "harness/explore/strategy.h"

namespace hobbs::explore {

/// A strategy that draws its executions, for as long as one likes.
struct DrawnStrategy {
  std::string_view name;
  /// `round` tells apart the times that it is asked for within one search: what it has to vary but
  /// does not draw itself follows from that.
  std::unique_ptr<Strategy> (*make)(std::uint64_t seed, std::uint32_t round);
  /// Looks at Scene::pending, which only explore fills in: elsewhere it would be a random walk.
  bool by_what_is_pending = false;
};

std::span<const DrawnStrategy> drawn_strategies();

/// The one of that name; null if it is none that draws.
const DrawnStrategy* drawn_strategy(std::string_view name);

/// Every other round the first of them, which finds most; in between the others in turn, which find
/// rare bugs that it does not.
std::unique_ptr<Strategy> strategy_in_turn(std::uint64_t seed, std::uint32_t round);

}  // namespace hobbs::explore
