// From the arena, once nobody writes to it any more, to what a person reads.
#pragma once

#include <string>
#include <vector>

#include "harness/free/arena.h"
#include "reports/result.h"
#include "scenarios/history.h"

namespace hobbs::gang {

/// The last calls of every worker, in order of time; those of `worker` and `other` marked last.
std::vector<Moment> story_of(const Arena& arena, std::uint32_t worker, std::uint32_t other);

/// The calls that prove something, marked, among those that came last before they were over.
std::vector<Moment> story_of(const Arena& arena, const std::vector<Operation>& evidence);

/// "lock_shared()" and the like, with "#1" for another lock than the first.
std::string call_words(Verb verb, Mode mode, std::uint8_t lock);

/// Who is inside of what, by the witness.
std::vector<std::string> holders_of(const Arena& arena);

}  // namespace hobbs::gang
