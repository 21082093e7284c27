// The fast engines against the plain search, on random small histories of every kind of lock.
// HOBBS_HISTORIES overrides how many of each kind; shards share them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "scenarios/rules/history/judge.h"
#include "scenarios/rules/history/owned_sweep.h"
#include "scenarios/rules/history/plain_search.h"
#include "scenarios/rules/history/random_history.h"
#include "scenarios/rules/history/verify_certificate.h"

namespace hobbs {
namespace {

constexpr std::uint64_t kHistories = 100'000;  // Of each kind.

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

PlainVerdict verdict_of(const Ledger& ledger) {
  if (ledger.accuses()) return PlainVerdict::kIllegal;
  return ledger.silenced_from_ns() != INT64_MAX ? PlainVerdict::kOutside : PlainVerdict::kLegal;
}

/// The whole way from a History to a certificate that somebody else believes.
void expect_proof(const SmallHistory& small, const Claims& claims) {
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
  ASSERT_TRUE(judgement.illegal());
  const Violation& first = judgement.earliest.front();
  EXPECT_EQ(flaw_in(first, history, claims), "") << to_string(first.breach);
  EXPECT_GT(judgement.counts[static_cast<std::size_t>(first.breach)], 0u);
}

/// Compares on this shard's share of the histories.
void expect_agreement(const HistoryShape& shape, std::uint64_t salt) {
  const std::uint64_t histories = number_from("HOBBS_HISTORIES", kHistories);
  std::uint64_t legal = 0, illegal = 0, outside = 0, undecided = 0;
  for (std::uint64_t i = 0; i < histories; ++i) {
    Dice dice(salt * 1'000'000'007u + i);
    const SmallHistory history = HistoryMaker(shape, dice).make();
    const LockLogs lock = history.view();
    const PlainVerdict truth = PlainSearch(shape.claims, Home::kMemory, lock).run();
    (truth == PlainVerdict::kLegal ? legal : truth == PlainVerdict::kIllegal ? illegal : outside)++;
    Ledger ledger;
    sweep_owned(shape.claims, Home::kMemory, lock, ledger);
    if (!ledger.accuses() && ledger.search_needed()) {
      ++undecided;
      continue;
    }
    const PlainVerdict said = verdict_of(ledger);
    if (said == PlainVerdict::kIllegal) expect_proof(history, shape.claims);
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

TEST(Agreement, Mutex) { expect_agreement({.claims = {}}, 1); }
TEST(Agreement, MutexWithDeaths) { expect_agreement({.claims = {}, .deaths = true}, 2); }
TEST(Agreement, MutexThatRefusesMisuse) {
  expect_agreement({.claims = {.checks_misuse = true}}, 3);
}
TEST(Agreement, Reentrant) { expect_agreement({.claims = {.reentrant = true}, .deaths = true}, 4); }
TEST(Agreement, AnyoneReleasesButNobodyElseDoes) {
  expect_agreement({.claims = {.releaser = Releaser::kAnyone}, .deaths = true}, 5);
}

TEST(Agreement, ReadersWriter) {
  expect_agreement({.claims = {}, .shared = true, .deaths = true}, 6);
}
TEST(Agreement, ReadersFirst) {
  expect_agreement(
      {.claims = {.fairness = Fairness::kReaderPreference}, .shared = true, .deaths = true}, 7);
}
TEST(Agreement, ReadersWriterReentrant) {
  expect_agreement({.claims = {.reentrant = true, .fairness = Fairness::kReaderPreference},
                    .shared = true,
                    .deaths = true},
                   8);
}
TEST(Agreement, Conversions) {
  expect_agreement({.claims = {}, .shared = true, .conversions = true, .fails = false}, 9);
}
TEST(Agreement, Robust) {
  expect_agreement({.claims = {.crash = CrashBehaviour::kOwnerDied}, .deaths = true}, 10);
}
TEST(Agreement, Takeover) {
  expect_agreement({.claims = {.crash = CrashBehaviour::kTakeover}, .deaths = true}, 11);
}
TEST(Agreement, ReleasedBySystem) {
  expect_agreement({.claims = {.crash = CrashBehaviour::kReleasedBySystem}, .deaths = true}, 12);
}
TEST(Agreement, ReadersWriterReleasedBySystem) {
  expect_agreement(
      {.claims = {.crash = CrashBehaviour::kReleasedBySystem}, .shared = true, .deaths = true}, 13);
}

}  // namespace
}  // namespace hobbs
