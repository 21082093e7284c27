// How fast the judge reads. An event is an invocation or a return: two for each call.
//
//     bazel run //scenarios/rules:history_bench
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "scenarios/rules/history/frontier.h"
#include "scenarios/rules/history/judge.h"
#include "scenarios/rules/history/owned_sweep.h"
#include "scenarios/rules/history/random_history.h"

namespace hobbs {
namespace {

/// What a correct lock under full contention looks like: all workers wait at once, a fifth of the
/// calls are tries that fail while it is held; `readers` of ten acquire it shared.
std::vector<LoggedCall> contended_history(std::size_t calls, std::uint32_t workers,
                                          std::uint32_t readers) {
  Dice dice(7);
  std::vector<LoggedCall> made;
  made.reserve(calls);
  std::vector<std::int64_t> free_from(workers, 0);
  std::int64_t now = 100;
  while (made.size() + 3 <= calls) {
    const std::uint32_t w = dice.below(workers);
    LoggedCall acquire;
    acquire.worker = static_cast<std::uint16_t>(w);
    if (dice.below(10) < readers) acquire.what |= LoggedCall::kSharedBit;
    acquire.invoked_ns = std::max(free_from[w] + 1, now - dice.below(80 * workers));
    acquire.returned_ns = std::max(now + 5, acquire.invoked_ns + 1);
    LoggedCall release = acquire;
    release.what =
        static_cast<std::uint8_t>(Verb::kRelease) | (acquire.what & LoggedCall::kSharedBit);
    release.outcome = Outcome::kReleased;
    release.invoked_ns = acquire.returned_ns + 20 + dice.below(40);
    release.returned_ns = release.invoked_ns + 10;
    made.push_back(acquire);
    made.push_back(release);
    free_from[w] = release.returned_ns;
    const std::uint32_t other = dice.below(workers);
    if (dice.one_in(3) && other != w && free_from[other] < acquire.returned_ns) {
      LoggedCall attempt;
      attempt.worker = static_cast<std::uint16_t>(other);
      attempt.what = static_cast<std::uint8_t>(Verb::kTry);
      attempt.outcome = Outcome::kBusy;
      attempt.invoked_ns = acquire.returned_ns + 2;
      attempt.returned_ns = attempt.invoked_ns + 10;
      made.push_back(attempt);
      free_from[other] = attempt.returned_ns;
    }
    now = release.invoked_ns;
  }
  std::sort(made.begin(), made.end(),
            [](const LoggedCall& a, const LoggedCall& b) { return a.invoked_ns < b.invoked_ns; });
  return made;
}

struct Logs {
  std::vector<std::vector<LoggedCall>> memory;
  LockLogs view;
};

Logs split(const std::vector<LoggedCall>& calls, std::uint32_t workers) {
  Logs logs;
  logs.memory.resize(workers);
  for (const LoggedCall& call : calls) logs.memory[call.worker].push_back(call);
  for (const auto& log : logs.memory) logs.view.logs.emplace_back(log);
  return logs;
}

void expect_legal(const Ledger& ledger) {
  if (!ledger.accuses() && !ledger.search_needed()) return;
  std::fprintf(stderr, "history_bench: a legal history was not accepted\n");
  std::abort();
}

void report(benchmark::State& state, std::size_t calls) {
  const double events = 2.0 * static_cast<double>(calls) * static_cast<double>(state.iterations());
  state.counters["events/s"] = benchmark::Counter(events, benchmark::Counter::kIsRate);
  state.counters["bytes/call"] = sizeof(LoggedCall);
}

/// Arguments: calls, workers, readers of ten.
void ordered(benchmark::State& state) {
  const auto workers = static_cast<std::uint32_t>(state.range(1));
  const auto calls = contended_history(static_cast<std::size_t>(state.range(0)), workers,
                                       static_cast<std::uint32_t>(state.range(2)));
  for (auto _ : state) {
    Ledger ledger;
    sweep_owned_ordered({}, Home::kMemory, calls, workers, ledger);
    expect_legal(ledger);
  }
  report(state, calls.size());
}

void from_logs(benchmark::State& state) {
  const auto workers = static_cast<std::uint32_t>(state.range(1));
  auto calls = contended_history(static_cast<std::size_t>(state.range(0)), workers,
                                 static_cast<std::uint32_t>(state.range(2)));
  const std::size_t size = calls.size();
  const Logs logs = split(calls, workers);
  calls = {};
  for (auto _ : state) {
    Ledger ledger;
    sweep_owned({}, Home::kMemory, logs.view, ledger);
    expect_legal(ledger);
  }
  report(state, size);
}

void searched(benchmark::State& state) {
  const auto workers = static_cast<std::uint32_t>(state.range(1));
  const auto calls = contended_history(static_cast<std::size_t>(state.range(0)), workers,
                                       static_cast<std::uint32_t>(state.range(2)));
  const Logs logs = split(calls, workers);
  for (auto _ : state) {
    const SearchResult found = search_history({}, Home::kMemory, logs.view, UINT64_MAX);
    if (found.kind != SearchResult::Kind::kLegal) std::abort();
  }
  report(state, calls.size());
}

void sizes(benchmark::internal::Benchmark* bench, std::vector<std::int64_t> calls) {
  bench->ArgNames({"calls", "workers", "readers"})->Unit(benchmark::kMillisecond);
  for (const std::int64_t n : calls) {
    for (const std::int64_t workers : {2, 8, 16}) bench->Args({n, workers, 0});
  }
  bench->Args({calls.front(), 16, 8});
}

BENCHMARK(ordered)->Apply([](auto* b) { sizes(b, {1'000'000, 10'000'000}); });
BENCHMARK(from_logs)->Apply([](auto* b) { sizes(b, {1'000'000, 10'000'000}); });
BENCHMARK(searched)->Apply([](auto* b) { sizes(b, {100'000}); });

}  // namespace
}  // namespace hobbs

BENCHMARK_MAIN();
