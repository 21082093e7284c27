#include "scenarios/smaller_programs.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace hobbs {

std::vector<Program> smaller_programs(const Program& program) {
  std::vector<Program> list;
  for (std::size_t w = 0; w < program.workers.size() && program.workers.size() > 1; ++w) {
    // A fault names its worker by position: only workers behind the last victim may go.
    const bool named = std::any_of(program.faults.begin(), program.faults.end(),
                                   [w](const Fault& fault) { return fault.worker >= w; });
    if (named) continue;
    Program less = program;
    less.workers.erase(less.workers.begin() + static_cast<std::ptrdiff_t>(w));
    list.push_back(std::move(less));
  }
  if (program.repeat > 1) {
    list.push_back(program);
    --list.back().repeat;
  }
  if (program.preset != 0) {
    list.push_back(program);
    list.back().preset = 0;
  }
  if (program.first_id != 1) {
    list.push_back(program);
    list.back().first_id = 1;
  }
  if (program.id_step != 1) {
    list.push_back(program);
    list.back().id_step = 1;
  }
  for (std::size_t w = 0; w < program.workers.size(); ++w) {
    const std::vector<Step>& steps = program.workers[w];
    for (std::size_t s = 0; s < steps.size(); ++s) {
      const bool acquires = steps[s].verb == Verb::kAcquire || steps[s].verb == Verb::kTry ||
                            steps[s].verb == Verb::kTimed;
      std::size_t end = s + 1;
      if (acquires) {  // With its release and all between.
        int depth = 1;
        while (end < steps.size() && depth > 0) {
          const Verb verb = steps[end++].verb;
          depth += verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed ? 1 : 0;
          depth -= verb == Verb::kRelease ? 1 : 0;
        }
      } else if (steps[s].verb == Verb::kRelease || steps[s].verb == Verb::kMeet) {
        continue;
      }
      Program less = program;
      auto& kept = less.workers[w];
      kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(s),
                 kept.begin() + static_cast<std::ptrdiff_t>(end));
      if (!kept.empty()) list.push_back(std::move(less));
    }
  }
  return list;
}

}  // namespace hobbs
