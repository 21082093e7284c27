// The fast engines against the plain search, on random small histories of every kind of lock.
// HOBBS_HISTORIES overrides how many of each kind; shards share them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "scenarios/rules/history/frontier.h"
#include "scenarios/rules/history/judge.h"
#include "scenarios/rules/history/owned_sweep.h"
#include "scenarios/rules/history/plain_search.h"
#include "scenarios/rules/history/random_history.h"
#include "scenarios/rules/history/verify_certificate.h"

namespace hobbs {
namespace {

constexpr std::uint64_t kHistories = 1'000'000;  // Of each kind.

constexpr std::uint64_t kSearchBudget = 1'000'000;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::string show(const LockLogs& lock) {
  std::string text;
  for (const auto& log : lock.logs) {
    for (const LoggedCall& call : log) {
      text += "  w" + std::to_string(call.worker) + " verb " +
              std::to_string(static_cast<int>(call.verb())) +
              (call.mode() == Mode::kShared ? " shared " : " ") +
              (call.pending() ? std::string("pending") : std::string(to_string(call.outcome))) +
              " [" + std::to_string(call.invoked_ns) + "," + std::to_string(call.returned_ns) +
              "] patience " + std::to_string(call.patience_ns) + "\n";
    }
  }
  for (const Death& death : lock.deaths) {
    text += "  death of w" + std::to_string(death.worker) + " [" + std::to_string(death.from_ns) +
            "," + std::to_string(death.to_ns) + "]\n";
  }
  return text;
}

PlainVerdict verdict_of(const SearchResult& found) {
  EXPECT_NE(found.kind, SearchResult::Kind::kUndecided);
  return found.kind == SearchResult::Kind::kLegal     ? PlainVerdict::kLegal
         : found.kind == SearchResult::Kind::kIllegal ? PlainVerdict::kIllegal
                                                      : PlainVerdict::kOutside;
}

PlainVerdict verdict_of(const Ledger& ledger) {
  if (ledger.accuses()) return PlainVerdict::kIllegal;
  return ledger.silenced_from_ns() != INT64_MAX ? PlainVerdict::kOutside : PlainVerdict::kLegal;
}

/// The whole way from a History to a certificate that somebody else believes.
void expect_proof(const SmallHistory& small, const Claims& claims, PlainVerdict truth) {
  History history;
  for (const auto& log : small.logs) {
    for (const LoggedCall& call : log) {
      history.operations.push_back(to_operation(call, call.worker + 1u, 0));
    }
  }
  for (const Death& death : small.deaths) {
    history.disturbances.push_back({.kind = Disturbance::Kind::kKill,
                                    .worker = death.worker + 1u,
                                    .from_ns = death.from_ns,
                                    .to_ns = death.to_ns});
  }
  const Judgement judgement = judge_history(history, claims);
  ASSERT_EQ(judgement.illegal(), truth == PlainVerdict::kIllegal);
  ASSERT_EQ(judgement.legal(), truth == PlainVerdict::kLegal);
  if (!judgement.illegal()) return;
  const Violation& first = judgement.earliest.front();
  EXPECT_EQ(flaw_in(first, history, claims), "") << to_string(first.breach);
  EXPECT_GT(judgement.counts[static_cast<std::size_t>(first.breach)], 0u);
}

/// Compares on this shard's share of the histories.
void expect_agreement(const std::vector<HistoryShape>& shapes, std::uint64_t salt) {
  const std::uint64_t histories = number_from("HOBBS_HISTORIES", kHistories);
  std::uint64_t legal = 0, illegal = 0, outside = 0, undecided = 0;
  for (std::uint64_t i = 0; i < histories; ++i) {
    const HistoryShape& shape = shapes[i % shapes.size()];
    Dice dice(salt * 1'000'000'007u + i);
    const SmallHistory history = HistoryMaker(shape, dice).make();
    const LockLogs lock = history.view();
    const PlainVerdict truth = PlainSearch(shape.claims, Home::kMemory, lock).run();
    (truth == PlainVerdict::kLegal ? legal : truth == PlainVerdict::kIllegal ? illegal : outside)++;
    const SearchResult found = search_history(shape.claims, Home::kMemory, lock, kSearchBudget);
    ASSERT_EQ(verdict_of(found), truth) << "search, history " << i << "\n" << show(lock);
    Ledger ledger;
    if (!owned_sweep_applies(shape.claims, lock)) continue;
    sweep_owned(shape.claims, Home::kMemory, lock, ledger);
    if (!ledger.accuses() && ledger.search_needed()) {
      expect_proof(history, shape.claims, truth);
      ++undecided;
      continue;
    }
    const PlainVerdict said = verdict_of(ledger);
    if (said == PlainVerdict::kIllegal) expect_proof(history, shape.claims, said);
    if (testing::Test::HasFailure()) {
      FAIL() << "history " << i << "\n" << show(lock);
    }
    // An undefined call silences what became certain only later.
    const bool silent = said == PlainVerdict::kOutside && truth == PlainVerdict::kIllegal;
    ASSERT_TRUE(said == truth || silent) << "history " << i << ": plain " << static_cast<int>(truth)
                                         << ", fast " << static_cast<int>(said) << "\n"
                                         << show(lock);
  }
  std::printf("%llu legal, %llu illegal, %llu outside the contract, %llu left to the search\n",
              static_cast<unsigned long long>(legal), static_cast<unsigned long long>(illegal),
              static_cast<unsigned long long>(outside), static_cast<unsigned long long>(undecided));
  EXPECT_GT(legal, histories / 10);
  EXPECT_GT(illegal, histories / 20);
  EXPECT_LT(undecided, histories / 2);
}

TEST(Agreement, Mutex) {
  expect_agreement(
      {{.claims = {}}, {.claims = {}, .deaths = true}, {.claims = {.checks_misuse = true}}}, 1);
}
TEST(Agreement, MutexThatAnyoneReleases) {
  const Claims claims{.releaser = Releaser::kAnyone};
  expect_agreement({{.claims = claims, .deaths = true},
                    {.claims = claims, .deaths = true, .foreign = true},
                    {.claims = claims, .shared = true}},
                   2);
}
TEST(Agreement, Reentrant) {
  expect_agreement({{.claims = {.reentrant = true}, .deaths = true},
                    {.claims = {.reentrant = true, .checks_misuse = true}}},
                   3);
}
TEST(Agreement, Semaphore) {
  const Claims plain{.releaser = Releaser::kAnyone, .semaphore = true, .permits = 2};
  Claims bounded = plain, counting = plain, undone = plain;
  bounded.bounded_release = true;
  counting.counts_above_permits = true;
  counting.permits = 1;
  undone.crash = CrashBehaviour::kReleasedBySystem;
  expect_agreement({{.claims = plain, .deaths = true, .foreign = true},
                    {.claims = bounded, .deaths = true, .foreign = true},
                    {.claims = counting, .foreign = true},
                    {.claims = undone, .deaths = true}},
                   4);
}
TEST(Agreement, ReadersWriter) {
  expect_agreement(
      {{.claims = {}, .shared = true, .deaths = true},
       {.claims = {.fairness = Fairness::kReaderPreference}, .shared = true, .deaths = true},
       {.claims = {.crash = CrashBehaviour::kReleasedBySystem}, .shared = true, .deaths = true}},
      5);
}
TEST(Agreement, SharedReentrant) {
  expect_agreement({{.claims = {.reentrant = true, .fairness = Fairness::kReaderPreference},
                     .shared = true,
                     .deaths = true},
                    {.claims = {.reentrant = true, .crash = CrashBehaviour::kOwnerDied},
                     .shared = true,
                     .deaths = true}},
                   6);
}
TEST(Agreement, Robust) {
  expect_agreement(
      {{.claims = {.crash = CrashBehaviour::kOwnerDied}, .deaths = true},
       {.claims = {.crash = CrashBehaviour::kTakeover}, .deaths = true},
       {.claims = {.crash = CrashBehaviour::kReleasedBySystem}, .deaths = true},
       {.claims = {.reentrant = true, .crash = CrashBehaviour::kOwnerDied}, .deaths = true}},
      7);
}
TEST(Agreement, Conversions) {
  expect_agreement({{.claims = {}, .shared = true, .conversions = true, .fails = false},
                    {.claims = {}, .shared = true, .conversions = true, .deaths = true}},
                   8);
}

}  // namespace
}  // namespace hobbs
