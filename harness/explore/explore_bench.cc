// How fast explore is, for three small programs that other tools have published figures for:
// executions a second of each strategy that draws, how many executions have at most two preemptions
// and at most two delays and how long they take, and the same for all executions. All by the
// processor's time, so that a loaded machine says the same.
//
//     bazel run -c opt //harness/explore:explore_bench            the whole table
//     bazel run -c opt //harness/explore:explore_bench -- 50      50 ms a cell
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "harness/explore/bounded_search.h"
#include "harness/explore/explorer.h"
#include "harness/explore/graph/exhaust.h"
#include "harness/explore/random_walk.h"
#include "harness/explore/strategies.h"
#include "locks/reference/mcs_lock.h"
#include "locks/reference/test_and_test_and_set_lock.h"
#include "locks/reference/ticket_lock.h"
#include "locks/spec_of.h"
#include "scenarios/suites/controlled_programs.h"

namespace hobbs::explore {
namespace {

constexpr int kDefaultCellMs = 300;
constexpr std::uint64_t kBatch = 256;
constexpr std::uint64_t kSeed = 1;
constexpr int kBound = 2;

double processor_s() {
  timespec now;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Case {
  const char* name;
  LockSpec lock;
  Program program;
};

/// Executions a second.
double speed(Explorer& explorer, Strategy& strategy, double cell_s) {
  const double start = processor_s();
  std::uint64_t executions = 0;
  double now = start;
  while (now - start < cell_s) {
    for (std::uint64_t i = 0; i < kBatch; ++i) {
      strategy.begin();
      if (explorer.run(strategy).kind == Ending::Kind::kBroken)
        std::abort();  // The locks are ours.
    }
    executions += kBatch;
    now = processor_s();
  }
  return static_cast<double>(executions) / (now - start);
}

/// Executions a second of two explorers together, each on a thread of its own.
double speed_of_two(const Case& test, MemoryModel model, double cell_s) {
  std::array<double, 2> speeds{};
  const auto explore = [&](std::uint64_t seed, double& found) {
    const auto explorer = Explorer::create(test.lock, model, Topology::kFork);
    if (!explorer->load(test.program).empty()) std::abort();
    RandomWalk walk(seed);
    found = speed(*explorer, walk, cell_s);
  };
  std::thread other(explore, kSeed + 1, std::ref(speeds[1]));
  explore(kSeed, speeds[0]);
  other.join();
  return speeds[0] + speeds[1];
}

struct Searched {
  std::uint64_t executions = 0;
  bool all = false;
  double s = 0;
};

/// All executions within the bound, or as many as there is time for.
Searched search_within(Explorer& explorer, Bounds bounds, int bound, double most_s) {
  BoundedSearch search(bound, bounds);
  Searched searched;
  const double start = processor_s();
  while (searched.all = !search.begin(), !searched.all && searched.s < most_s) {
    if (explorer.run(search).kind == Ending::Kind::kBroken) std::abort();
    if (++searched.executions % kBatch == 0) searched.s = processor_s() - start;
  }
  searched.s = processor_s() - start;
  return searched;
}

graph::Exhausted exhaust(const Case& test, MemoryModel model, Explorer& explorer,
                         graph::KnownWorkers& known) {
  return graph::exhaust(test.lock, test.program, model, Topology::kFork, explorer,
                        Clock::now() + std::chrono::minutes(1), &known);
}

/// All executions, again and again: by a search that knows nothing of the workers, or, with
/// `before`, one that knows what the same search under that model found out.
void print_exhausted(const Case& test, MemoryModel model, Explorer& explorer,
                     std::optional<MemoryModel> before, double cell_s) {
  const auto earlier = Explorer::create(test.lock, before.value_or(model), Topology::kFork);
  if (!earlier->load(test.program).empty()) std::abort();
  graph::Exhausted all;
  int times = 0;
  double spent_s = 0;
  for (; spent_s < cell_s; ++times) {
    graph::KnownWorkers known;
    if (before) exhaust(test, *before, *earlier, known);
    const double start = processor_s();
    all = exhaust(test, model, explorer, known);
    spent_s += processor_s() - start;
  }
  const double each_s = spent_s / times;
  if (!before) {
    std::printf(" %7llu%s in", static_cast<unsigned long long>(all.executions),
                all.complete ? " " : "+");
  }
  std::printf(" %7.3f %6.2f us", 1e3 * each_s, 1e6 * each_s / static_cast<double>(all.executions));
}

void measure(const Case& test, MemoryModel model, const char* model_name, double cell_s) {
  const auto explorer = Explorer::create(test.lock, model, Topology::kFork);
  if (!explorer->load(test.program).empty()) std::abort();
  std::printf("%-14s %-4s", test.name, model_name);
  for (const DrawnStrategy& drawn : drawn_strategies()) {
    std::printf(" %9.0f", speed(*explorer, *drawn.make(kSeed, 1), cell_s));
  }
  std::printf(" %9.0f", speed_of_two(test, model, cell_s));
  for (const Bounds bounds : {Bounds::kPreemptions, Bounds::kDelays}) {
    const Searched all = search_within(*explorer, bounds, kBound, cell_s);
    std::printf(" %7llu%s in %8.2f", static_cast<unsigned long long>(all.executions),
                all.all ? " " : "+", 1e3 * all.s);
  }
  const bool first = model == MemoryModel::kSc;
  print_exhausted(test, model, *explorer, std::nullopt, cell_s);
  print_exhausted(test, model, *explorer, first ? MemoryModel::kC11 : MemoryModel::kSc, cell_s);
  std::printf("\n");
}

int bench(double cell_s) {
  const Case cases[] = {
      {"a ticket 2x2", spec_of<TicketLock>("ticket"), plain_program(2, 2)},
      {"b ttas 3x1", spec_of<TestAndTestAndSetLock>("ttas"), plain_program(3, 1)},
      {"c mcs 2x2", spec_of<McsLock>("mcs"), plain_program(2, 2)},
      {"ttas 5x1", spec_of<TestAndTestAndSetLock>("ttas"), plain_program(5, 1)},
  };
  std::printf(
      "executions a second; executions and ms; all executions, ms, and what one takes, by a search "
      "that must find out how the workers behave, and by one that knows what the same search under "
      "another model (sc; for sc, c11) has found out\n%-19s",
      "");
  for (const DrawnStrategy& drawn : drawn_strategies()) {
    std::printf(" %7.*s/s", static_cast<int>(drawn.name.size()), drawn.name.data());
  }
  std::printf(" %9s %20s %20s %29s %17s\n", "2 threads", "<= 2 preemptions", "<= 2 delays",
              "all, at first", "then");
  for (const Case& test : cases) {
    measure(test, MemoryModel::kSc, "sc", cell_s);
    measure(test, MemoryModel::kTso, "tso", cell_s);
    measure(test, MemoryModel::kC11, "c11", cell_s);
  }
  return 0;
}

}  // namespace
}  // namespace hobbs::explore

int main(int argc, char** argv) {
  const int cell_ms = argc > 1 ? std::atoi(argv[1]) : 0;
  return hobbs::explore::bench(1e-3 * (cell_ms > 0 ? cell_ms : hobbs::explore::kDefaultCellMs));
}
