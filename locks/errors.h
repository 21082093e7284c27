// The errors of the reference locks: one closed set, one type.
//
// A lock that is misused, or that the system refuses, throws a LockError and is left as it was. A
// LockSpec turns the error into an Outcome (spec_of.h); an agent turns it into its language's own.
#pragma once

#include <string>
#include <system_error>

#include "locks/lock.h"

namespace hobbs {

enum class LockErrorKind : std::uint8_t {
  kOverRelease,      // Released more often than acquired.
  kNotOwner,         // Held, but not by the caller.
  kNotLocked,        // Nobody holds it.
  kNotOpen,          // A file lock that holds nothing: never acquired, or not since its release.
  kBadArgument,      // An argument outside its documented range.
  kOutOfRange,       // A number too large to be represented.
  kOperatingSystem,  // The system refused; code() is the errno.
  kUpgradeRefused,   // A shared hold cannot become exclusive.
  kReentryRefused,   // The caller holds it already, and it is not re-entrant.
  kInterrupted,      // A signal ended the wait, and the caller asked for that (interrupt.h).
};

/// The nearest Outcome.
constexpr Outcome outcome_of(LockErrorKind kind) {
  switch (kind) {
    case LockErrorKind::kOverRelease:
      return Outcome::kOverRelease;
    case LockErrorKind::kNotOwner:
      return Outcome::kNotOwner;
    case LockErrorKind::kNotLocked:
    case LockErrorKind::kNotOpen:
      return Outcome::kNotLocked;
    case LockErrorKind::kBadArgument:
    case LockErrorKind::kOutOfRange:
      return Outcome::kBadArgument;
    case LockErrorKind::kOperatingSystem:
      return Outcome::kSystemError;
    case LockErrorKind::kUpgradeRefused:
      return Outcome::kUpgradeRefused;
    case LockErrorKind::kReentryRefused:
      return Outcome::kReentryRefused;
    case LockErrorKind::kInterrupted:
      return Outcome::kInterrupted;
  }
  return Outcome::kSystemError;
}

/// The nearest errno, so that a LockError is a std::system_error as the standard's locks throw.
constexpr std::errc errc_of(LockErrorKind kind) {
  switch (kind) {
    case LockErrorKind::kBadArgument:
      return std::errc::invalid_argument;
    case LockErrorKind::kOutOfRange:
      return std::errc::value_too_large;
    case LockErrorKind::kReentryRefused:
    case LockErrorKind::kUpgradeRefused:
      return std::errc::resource_deadlock_would_occur;
    case LockErrorKind::kInterrupted:
      return std::errc::interrupted;
    default:
      return std::errc::operation_not_permitted;
  }
}

class LockError : public std::system_error {
 public:
  LockError(LockErrorKind kind, const std::string& what)
      : std::system_error(std::make_error_code(errc_of(kind)), what), kind_(kind), misuse_(what) {}
  /// The system refused with `error` (an errno value).
  LockError(int error, const std::string& what)
      : std::system_error(error, std::generic_category(), what),
        kind_(LockErrorKind::kOperatingSystem) {}

  LockErrorKind kind() const { return kind_; }
  /// The sentence; with the errno in words only where the system refused.
  const char* what() const noexcept override {
    return kind_ == LockErrorKind::kOperatingSystem ? std::system_error::what() : misuse_.c_str();
  }

 private:
  LockErrorKind kind_;
  std::string misuse_;
};

}  // namespace hobbs
