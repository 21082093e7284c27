// `hobbs list` and `--list`: what there is, in words.
#pragma once

#include <string>

#include "harness/campaign.h"
#include "harness/drivers.h"
#include "locks/lock.h"

namespace hobbs {

/// The claims as a sentence without a full stop: "between processes; the holder releases; ...".
std::string claims_words(const LockSpec& lock);

/// The operations a lock offers: "lock, try, timed, shared, ...".
std::string operations_words(const LockSpec& lock);

/// Every lock with its claims and its source.
std::string list_locks(const Catalog& locks);

/// Every rule, and which drivers check it on which scenarios of any of these locks: a rule that
/// none checks says so. Scenarios are named only if `verbose`.
std::string list_rules(const Catalog& locks, const Drivers& drivers, bool verbose);

/// The scenarios that `plan` would run, by driver.
std::string list_scenarios(const CampaignPlan& plan);

}  // namespace hobbs
