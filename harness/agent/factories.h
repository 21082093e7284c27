// The objects that an agent can make, by the names that the seeds give them.
#pragma once

#include <memory>
#include <string>

#include "harness/agent/subject.h"

namespace hobbs::agent {

/// One object of `kind` ("th.Lock", "mp.spawn.Lock", "fa.deco", …). KeyError for a name that is
/// not served; the constructor's own errors as Python raises them.
std::shared_ptr<const Subject> make_subject(const std::string& kind, const Json& positional,
                                            const Json& keywords);

// One family each; null if `name` is not of the family.
using Made = std::shared_ptr<Subject>;
Made make_threading(const std::string& name, const Json& positional, const Json& keywords);
Made make_multiprocessing(const std::string& context, const std::string& name,
                          const Json& positional, const Json& keywords);
Made make_multiprocessing_utils(const std::string& name, const Json& positional,
                                const Json& keywords);
Made make_fasteners(const std::string& name, const Json& positional, const Json& keywords);

}  // namespace hobbs::agent
