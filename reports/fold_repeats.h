// Stories made short: what is done again and again, poll after poll, is told once.
#pragma once

#include <vector>

#include "reports/result.h"

namespace hobbs {

/// The same story, in which a block of moments that comes again at least twice right after itself
/// (the same workers, words and places, whatever the time) stands once, and a line behind it says
/// how often it came again and how long that took. What is evidence is never folded.
std::vector<Moment> fold_repeats(std::vector<Moment> story);

}  // namespace hobbs
