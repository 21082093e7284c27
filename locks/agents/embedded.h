// The Python agent's sources, embedded: hobbs finds it wherever it is run.
#pragma once

#include <string_view>

namespace hobbs {

std::string_view python_agent_source();

/// The module python_bench, which the agent imports when it is asked to measure.
std::string_view python_bench_source();

}  // namespace hobbs
