// What a violation of a history means to a reader: which rule is broken, one sentence, the facts.
#pragma once

#include <string>
#include <vector>

#include "locks/lock.h"
#include "scenarios/rules/history/judgement.h"

namespace hobbs {

struct Accusation {
  std::string rule;                   // ME-1, TR-2, ...: an id of PROPERTIES.
  std::string summary;                // One sentence that names the workers and the margin.
  std::vector<std::string> evidence;  // Each call of the certificate, and how often such happened.
  Violation violation;
};

/// One for each rule that the history breaks, the earliest first. `clock_error_ns` as in the
/// history: it is told beside the margin.
std::vector<Accusation> accusations(const Judgement& judgement, const Claims& claims,
                                    std::int64_t clock_error_ns = 0);

/// "try_lock() of worker 3", ...
std::string describe_call(const Operation& operation);

}  // namespace hobbs
