#include "harness/explore/strategies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "harness/explore/bounded_search.h"
#include "harness/explore/partial_order_sampling.h"
#include "harness/explore/random_walk.h"

namespace hobbs::explore {
namespace {

using Scripts = std::vector<std::vector<Pending>>;

constexpr Pending kPrivate{Pending::Kind::kSection, -1};
constexpr Pending store(std::int16_t word) { return {Pending::Kind::kStore, word}; }

/// Who moved, in order, in one execution of workers that never wait: "00110".
std::string walk(Strategy& strategy, const Scripts& scripts) {
  std::vector<std::size_t> at(scripts.size(), 0);
  Scene scene;
  scene.workers = static_cast<int>(scripts.size());
  std::string order;
  while (true) {
    scene.ready = 0;
    for (std::size_t w = 0; w < scripts.size(); ++w) {
      if (at[w] == scripts[w].size()) continue;
      scene.ready |= 1u << w;
      scene.pending[w] = scripts[w][at[w]];
    }
    if (scene.ready == 0) return order;
    const Move move = strategy.next(scene);
    EXPECT_EQ(move.kind, Move::Kind::kStep);
    EXPECT_TRUE(scene.is_ready(move.worker));
    ++at[move.worker];
    scene.current = move.worker;
    order += static_cast<char>('0' + move.worker);
  }
}

Scripts lengths(const std::vector<std::size_t>& steps) {
  Scripts scripts;
  for (const std::size_t n : steps) scripts.emplace_back(n, kPrivate);
  return scripts;
}

/// What the order costs, said in other words than the search's: turns that go round.
int delays_of(const std::string& order, const Scripts& scripts) {
  std::vector<std::size_t> left;
  for (const auto& script : scripts) left.push_back(script.size());
  int delays = 0;
  std::size_t turn = 0;
  for (const char mover : order) {
    const auto worker = static_cast<std::size_t>(mover - '0');
    for (; turn != worker; turn = (turn + 1) % left.size()) delays += left[turn] > 0 ? 1 : 0;
    --left[worker];
  }
  return delays;
}

int preemptions_of(const std::string& order, const Scripts& scripts) {
  std::vector<std::size_t> left;
  for (const auto& script : scripts) left.push_back(script.size());
  int preemptions = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && order[i] != order[i - 1]) preemptions += left[order[i - 1] - '0'] > 0 ? 1 : 0;
    --left[order[i] - '0'];
  }
  return preemptions;
}

/// All orders of the steps with what each costs.
template <class Cost>
std::map<std::string, int> all_orders(const Scripts& scripts, Cost cost) {
  std::string order;
  for (std::size_t w = 0; w < scripts.size(); ++w) {
    order.append(scripts[w].size(), static_cast<char>('0' + w));
  }
  std::map<std::string, int> orders;
  do {
    orders[order] = cost(order, scripts);
  } while (std::next_permutation(order.begin(), order.end()));
  return orders;
}

/// Each execution within the bound, once, and no other.
template <class Cost>
void expect_all_within(Bounds bounds, Cost cost) {
  for (const Scripts& scripts : {lengths({3, 3}), lengths({2, 3, 2}), lengths({1, 2, 1, 2})}) {
    const auto orders = all_orders(scripts, cost);
    for (int bound = 0; bound < 5; ++bound) {
      std::set<std::string> seen;
      BoundedSearch search(bound, bounds);
      while (search.begin()) {
        const std::string order = walk(search, scripts);
        EXPECT_TRUE(seen.insert(order).second) << order;
        EXPECT_LE(orders.at(order), bound) << order;
      }
      EXPECT_EQ(static_cast<std::ptrdiff_t>(seen.size()),
                std::ranges::count_if(orders, [=](const auto& o) { return o.second <= bound; }));
    }
  }
}

TEST(BoundedSearch, MakesEveryExecutionWithinSoManyPreemptions) {
  expect_all_within(Bounds::kPreemptions, preemptions_of);
}

TEST(BoundedSearch, MakesEveryExecutionWithinSoManyDelays) {
  expect_all_within(Bounds::kDelays, delays_of);
}

/// One of ten thousand executions in which the first worker comes first at the word that both want,
/// behind six steps that concern nobody. A random walk must be lucky at each of them.
int first_at_the_word(Strategy& strategy) {
  const Scripts scripts = {{kPrivate, kPrivate, kPrivate, kPrivate, kPrivate, kPrivate, store(0)},
                           {store(0)}};
  int first = 0;
  for (int i = 0; i < 10'000; ++i) {
    strategy.begin();
    first += walk(strategy, scripts).back() == '1' ? 1 : 0;
  }
  return first;
}

TEST(PartialOrderSampling, ReachesFarOrdersMoreOftenThanARandomWalk) {
  PartialOrderSampling sampling(1);
  RandomWalk random(1);
  // The greatest of eight numbers is the second worker's: 1/8. Seven coins in a row: 1/128.
  EXPECT_NEAR(first_at_the_word(sampling), 1250, 120);
  EXPECT_NEAR(first_at_the_word(random), 78, 40);
}

/// Whoever was passed in a race may win the next.
TEST(PartialOrderSampling, DrawsAnewWhatRaces) {
  const auto repeats = [](std::int16_t other) {
    const Scripts scripts = {{store(0), store(0)}, {store(other), store(other)}};
    PartialOrderSampling sampling(1);
    std::map<std::string, int> seen;
    for (int i = 0; i < 12'000; ++i) {
      sampling.begin();
      ++seen[walk(sampling, scripts)];
    }
    return seen;
  };
  // Of racing steps both next ones are drawn anew: a coin each time somebody could go first.
  EXPECT_NEAR(repeats(0)["0011"], 3'000, 300);
  // Of others the loser keeps its priority: it is the smallest of three.
  EXPECT_NEAR(repeats(1)["0011"], 4'000, 300);
}

TEST(PartialOrderSampling, DrawsAnewWhatRacesWithTheRestOfAMove) {
  const auto passed_wins = [](std::int16_t other) {
    PartialOrderSampling sampling(1);
    Scene scene;
    scene.workers = 2;
    scene.ready = 3;
    int passed = 0, wins = 0;
    while (passed < 12'000) {
      sampling.begin();
      scene.pending[0] = kPrivate;
      scene.pending[1] = store(other);
      if (sampling.next(scene).worker != 0) continue;
      ++passed;
      scene.current = 0;
      scene.pending[0] = store(0);
      sampling.goes_on(scene);
      wins += sampling.next(scene).worker == 1 ? 1 : 0;
    }
    return wins;
  };
  EXPECT_NEAR(passed_wins(0), 6'000, 300);
  EXPECT_NEAR(passed_wins(1), 4'000, 300);  // The smaller of two against a new one.
}

TEST(DrawnStrategies, CanAllBeNamedAndAllHaveTurns) {
  std::set<std::string_view> names;
  for (const DrawnStrategy& drawn : drawn_strategies()) {
    EXPECT_TRUE(names.insert(drawn.name).second);
    EXPECT_EQ(drawn_strategy(drawn.name), &drawn);
    const auto strategy = drawn.make(1, 0);
    ASSERT_TRUE(strategy->begin());
    EXPECT_EQ(walk(*strategy, lengths({2, 2, 2})).size(), 6u);
  }
  EXPECT_EQ(drawn_strategy("luck"), nullptr);
  std::set<const std::type_info*> types;
  for (std::uint32_t round = 0; round < 8; ++round) {
    const auto strategy = strategy_in_turn(1, round);
    types.insert(&typeid(*strategy));
  }
  EXPECT_EQ(types.size(), drawn_strategies().size());
}

/// Everybody in front of one word, and the same seed: the same executions.
TEST(DrawnStrategies, RepeatThemselvesExactly) {
  const Scripts scripts(3, std::vector<Pending>(4, store(0)));
  for (const DrawnStrategy& drawn : drawn_strategies()) {
    const auto one = drawn.make(7, 1), other = drawn.make(7, 1);
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
      one->begin();
      other->begin();
      const std::string order = walk(*one, scripts);
      EXPECT_EQ(order, walk(*other, scripts)) << drawn.name;
      seen.insert(order);
    }
    EXPECT_GT(seen.size(), 30u) << drawn.name;
  }
}

}  // namespace
}  // namespace hobbs::explore
