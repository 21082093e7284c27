#include "locks/lock.h"

namespace hobbs {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAcquired: return "acquired";
    case Outcome::kOwnerDied: return "acquired, owner died";
    case Outcome::kBusy: return "busy";
    case Outcome::kTimedOut: return "timed out";
    case Outcome::kInterrupted: return "interrupted";
    case Outcome::kReleased: return "released";
    case Outcome::kNotOwner: return "refused: not owner";
    case Outcome::kNotLocked: return "refused: not locked";
    case Outcome::kOverRelease: return "refused: over-release";
    case Outcome::kDeadlock: return "refused: would deadlock";
    case Outcome::kReentryRefused: return "refused: not re-entrant";
    case Outcome::kUpgradeRefused: return "refused: no upgrade";
    case Outcome::kUnrecoverable: return "refused: not recoverable";
    case Outcome::kBadArgument: return "refused: bad argument";
    case Outcome::kSystemError: return "system error";
  }
  return "?";
}

std::string_view to_string(Mode mode) {
  return mode == Mode::kExclusive ? "exclusive" : "shared";
}

}  // namespace hobbs
