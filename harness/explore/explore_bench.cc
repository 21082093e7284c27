// How fast explore is: executions a second of each strategy, and the time to exhaust, for three
// small programs that other tools have published figures for. All by the processor's time, so that
// a loaded machine says the same.
//
//     bazel run -c opt //harness/explore:explore_bench            the whole table
//     bazel run -c opt //harness/explore:explore_bench -- 50      50 ms a cell
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "harness/explore/explorer.h"
#include "harness/explore/graph/exhaust.h"
#include "harness/explore/guided.h"
#include "harness/explore/random_walk.h"
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

void measure(const Case& test, MemoryModel model, const char* model_name, double cell_s) {
  const auto explorer = Explorer::create(test.lock, model, Topology::kFork);
  if (!explorer->load(test.program).empty()) std::abort();
  RandomWalk walk(kSeed);
  Priorities priorities(kSeed, 3);
  const double random = speed(*explorer, walk, cell_s);
  const double two = speed_of_two(test, model, cell_s);
  const double pct = speed(*explorer, priorities, cell_s);
  const auto search = [&] {
    return graph::exhaust(test.lock, test.program, model, Topology::kFork, *explorer,
                          Clock::now() + std::chrono::minutes(1));
  };
  graph::Exhausted all;
  int times = 0;
  const double start = processor_s();
  double now = start;
  for (; now - start < cell_s; now = processor_s(), ++times) all = search();
  const double each_s = (now - start) / times;
  std::printf("%-22s %-4s %10.0f %10.0f %10.0f %12llu%s %11.3f ms %9.2f us\n", test.name,
              model_name, random, two, pct, static_cast<unsigned long long>(all.executions),
              all.complete ? " " : "+", 1e3 * each_s,
              1e6 * each_s / static_cast<double>(all.executions));
}

int bench(double cell_s) {
  const Case cases[] = {
      {"a ticket 2x2", spec_of<TicketLock>("ticket"), plain_program(2, 2)},
      {"b ttas 3x1", spec_of<TestAndTestAndSetLock>("ttas"), plain_program(3, 1)},
      {"c mcs 2x2", spec_of<McsLock>("mcs"), plain_program(2, 2)},
      {"  ttas 5x1", spec_of<TestAndTestAndSetLock>("ttas"), plain_program(5, 1)},
  };
  std::printf("%-22s %-4s %10s %10s %10s %13s %14s %12s\n", "program", "", "random/s", "2 threads",
              "pct/s", "exhausted", "in", "an execution");
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
