// The Python agent's source, embedded: hobbs finds it wherever it is run.
#pragma once

#include <string_view>

namespace hobbs {

std::string_view python_agent_source();

}  // namespace hobbs
