// An execution as a story: lanes of moments, from the events that the explorer tells.
#pragma once

#include <vector>

#include "harness/explore/explorer.h"
#include "reports/result.h"

namespace hobbs::explore {

/// What happened, one moment an event, in order. `why` is the broken rule's sentence: the last
/// moments of the workers that it names are marked as evidence.
std::vector<Moment> story_of(const std::vector<Event>& events, const Explorer& explorer,
                             const Broken& why);

}  // namespace hobbs::explore
