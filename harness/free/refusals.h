// System calls that fail though nothing is wrong with them: the kernel is short of memory, or of
// records for locks (ENOMEM, ENOLCK). A lock must take that for what it is.
//
// A seccomp filter hands every call of those kinds to a handler of SIGSYS, which refuses it or
// makes it after all, from the one place that the filter lets through. A filter cannot be taken off
// again, so it lies over the workers of such a run alone.
#pragma once

#include <string>

namespace hobbs::gang {

/// Why that cannot be done on this machine; empty if it can. Tried out once, in a child.
const std::string& why_no_refusals();

/// For the calling process, and from now on; it must have one thread. False if the system refuses.
bool install_refusals();

}  // namespace hobbs::gang
