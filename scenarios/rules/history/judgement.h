// What the judge says of a history.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/history.h"

namespace hobbs {

/// The ways in which a history can be impossible for a correct lock.
enum class Breach : std::uint8_t {
  kOverlap,             // Two workers certainly held it at once, at least one exclusively.
  kTooManyHolders,      // A semaphore: more certain holds than permits.
  kReacquired,          // A holder got it again although it is not re-entrant.
  kGroundlessFailure,   // A try failed although the lock was free all through the call.
  kGroundlessTimeout,   // A timed acquire likewise.
  kEarlyTimeout,        // A timed acquire gave up before its deadline.
  kReentryFailed,       // A holder was refused although the lock is re-entrant.
  kReleaseRefused,      // A holder could not release.
  kReleaseAccepted,     // A release by a worker that holds nothing was accepted.
  kOwnerDeathUntold,    // The holder died, and the next one was not told.
  kOwnerDeathInvented,  // A worker was told of a death that cannot have been.
  kWrongOutcome,        // An outcome that this call never has.
  kNoOrder,             // No order of the calls explains the outcome of this one.
};
inline constexpr std::size_t kBreaches = static_cast<std::size_t>(Breach::kNoOrder) + 1;
std::string_view to_string(Breach breach);

/// One breach and the smallest part of the history that shows it.
struct Violation {
  Breach breach = Breach::kNoOrder;
  std::vector<Operation> certificate;  // At most five calls, in the order of their invocation.
  std::int64_t margin_ns = 0;  // By how much the windows would have to be wrong to make it legal;
                               // 0: no shift of windows would.
  std::int64_t at_ns = 0;      // When it had become certain.
};

struct Judgement {
  enum class Kind : std::uint8_t { kLegal, kIllegal, kInconclusive } kind = Kind::kLegal;
  std::vector<Violation> earliest;  // The earliest of each class that occurs, earliest first.
  std::array<std::uint64_t, kBreaches> counts{};  // How many of each class.
  std::string inconclusive;  // Not empty: what could not be decided, and where (ns range).
  std::uint64_t calls = 0;   // How many were read.

  bool legal() const { return kind == Kind::kLegal; }
  bool illegal() const { return kind == Kind::kIllegal; }
};

}  // namespace hobbs
