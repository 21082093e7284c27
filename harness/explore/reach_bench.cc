// How far explore gets and how soon: the median number of executions until three classic bugs are
// found, and for every lock of the catalogue whether all executions of two small programs were
// judged, or else up to how many preemptions they were.
//
//     bazel run -c opt //harness/explore:reach_bench             a second a cell at most
//     bazel run -c opt //harness/explore:reach_bench -- 10000    ten seconds a cell at most
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "harness/explore/bounded_search.h"
#include "harness/explore/explorer.h"
#include "harness/explore/graph/exhaust.h"
#include "harness/explore/hunt.h"
#include "harness/explore/strategies.h"
#include "locks/lock.h"
#include "locks/mutants/relaxed_release.h"
#include "locks/mutants/split_test_and_set.h"
#include "locks/spec_of.h"
#include "scenarios/suites/controlled_programs.h"

namespace hobbs::explore {
namespace {

constexpr int kDefaultCellMs = 1'000;
constexpr std::uint64_t kSeeds = 301;
constexpr std::uint64_t kPatience = 100'000;  // Executions of one seed.
constexpr int kHighestBound = 6;

constexpr std::pair<MemoryModel, const char*> kModels[] = {
    {MemoryModel::kSc, "sc"}, {MemoryModel::kTso, "tso"}, {MemoryModel::kC11, "c11"}};

/// Looks at the word, and then tells that it sleeps: whoever lets go in between wakes nobody.
template <class P>
class SleepsAfterCheck {
 public:
  void lock() {
    while (word_.exchange(1, std::memory_order_acquire) != 0) {
      sleepers_.store(1, std::memory_order_seq_cst);
      P::futex_wait(sleepers_, 1);
    }
  }
  void unlock() {
    word_.store(0, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
    sleepers_.store(0, std::memory_order_seq_cst);
    P::futex_wake(sleepers_, 1);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
  typename P::template atomic<std::uint32_t> sleepers_{};
};

struct Bug {
  LockSpec lock;
  const char* what;
  MemoryModel model;
  std::uint64_t goal;  // Executions in the median.
};

std::vector<Bug> bugs() {
  return {
      {spec_of<mutants::SplitTestAndSet>("split"), "a test, then a set", MemoryModel::kSc, 4},
      {spec_of<mutants::RelaxedRelease>("relaxed"), "a relaxed unlock", MemoryModel::kC11, 1},
      {spec_of<SleepsAfterCheck>("sleeps"), "a check, then a sleep", MemoryModel::kSc, 20},
  };
}

/// How many executions until the strategy finds something, in the median of all seeds.
std::uint64_t median(const LockSpec& lock, const Program& program, MemoryModel model,
                     const DrawnStrategy& drawn) {
  const auto explorer = Explorer::create(lock, model, Topology::kFork);
  if (!explorer->load(program).empty()) std::abort();
  std::vector<std::uint64_t> counts;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto strategy = drawn.make(seed, 1);
    counts.push_back(hunt(*explorer, program, model, Topology::kFork, *strategy, kPatience,
                          Clock::time_point::max())
                         .executions);
  }
  std::ranges::nth_element(counts, counts.begin() + kSeeds / 2);
  return counts[kSeeds / 2];
}

void find_bugs() {
  std::printf("executions to find, median of %llu seeds\n%-24s %8s",
              static_cast<unsigned long long>(kSeeds), "", "program");
  for (const DrawnStrategy& drawn : drawn_strategies()) {
    std::printf(" %8.*s", static_cast<int>(drawn.name.size()), drawn.name.data());
  }
  std::printf(" %8s\n", "goal");
  for (const Bug& bug : bugs()) {
    std::printf("%-24s %8s", bug.what, "2x1");
    for (const DrawnStrategy& drawn : drawn_strategies()) {
      std::printf(" %8llu", static_cast<unsigned long long>(
                                median(bug.lock, plain_program(2, 1), bug.model, drawn)));
    }
    std::printf(" %8llu\n", static_cast<unsigned long long>(bug.goal));
  }
}

/// The highest number of preemptions up to which all executions were judged; -1: not even none.
int bound_reached(Explorer& explorer, const Program& program, MemoryModel model, Topology topology,
                  Clock::time_point until) {
  int reached = -1;
  for (int bound = 0; bound <= kHighestBound; ++bound) {
    BoundedSearch search(bound);
    if (!hunt(explorer, program, model, topology, search, UINT64_MAX, until).exhausted) break;
    reached = bound;
  }
  return reached;
}

void exhaust_cell(const LockSpec& lock, const Program& program, const char* size, MemoryModel model,
                  const char* model_name, std::chrono::milliseconds cell) {
  const Topology topology = lock.claims.process_shared ? Topology::kFork : Topology::kThreads;
  const auto explorer = Explorer::create(lock, model, topology);
  std::printf("%-34s %-4s %-4s ", lock.name.c_str(), size, model_name);
  if (const std::string why = explorer->load(program); !why.empty()) {
    std::printf("%s\n", why.c_str());
    return;
  }
  const auto start = Clock::now();
  const graph::Exhausted all =
      graph::exhaust(lock, program, model, topology, *explorer, start + cell);
  const double ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  if (all.caught) {
    std::printf("BROKEN: %s\n", all.caught->broken.text.c_str());
  } else if (all.complete) {
    std::printf("%10llu executions, all of them, in %.1f ms\n",
                static_cast<unsigned long long>(all.executions), ms);
  } else {
    const int bound = bound_reached(*explorer, program, model, topology, Clock::now() + cell);
    const std::string reached =
        bound < 0 ? "not even all without preemptions"
                  : "all with at most " + std::to_string(bound) + " preemptions; not all";
    std::printf("%s: %s\n", reached.c_str(), all.why_not.c_str());
  }
  std::fflush(stdout);
}

int bench(std::chrono::milliseconds cell) {
  find_bugs();
  std::printf("\nthe locks of the catalogue\n");
  for (const LockSpec& lock : reference_catalog()) {
    if (!lock.controlled.available()) continue;
    for (const auto& [model, name] : kModels) {
      if (lock.home == Home::kPath && model != MemoryModel::kSc) continue;
      exhaust_cell(lock, plain_program(2, 2), "2x2", model, name, cell);
      exhaust_cell(lock, plain_program(3, 1), "3x1", model, name, cell);
    }
  }
  return 0;
}

}  // namespace
}  // namespace hobbs::explore

int main(int argc, char** argv) {
  const int cell_ms = argc > 1 ? std::atoi(argv[1]) : 0;
  return hobbs::explore::bench(
      std::chrono::milliseconds(cell_ms > 0 ? cell_ms : hobbs::explore::kDefaultCellMs));
}
