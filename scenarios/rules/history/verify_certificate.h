// An independent look at a violation: whether its certificate stands on its own.
//
// Shares no code with the judge and knows nothing of sweeps and searches: it goes through the whole
// history, naively, and asks whether each call of the certificate is there and whether what they
// are said to show follows from their windows.
#pragma once

#include <string>

#include "locks/lock.h"
#include "scenarios/history.h"
#include "scenarios/rules/history/judgement.h"

namespace hobbs {

/// Empty if the certificate proves the breach, else what is wrong with it. A breach that only a
/// search can show (kNoOrder) and those that a single call or a worker's own calls show are
/// accepted if the calls are in the history. Quadratic in the calls that touch the certificate.
std::string flaw_in(const Violation& violation, const History& history, const Claims& claims);

}  // namespace hobbs
