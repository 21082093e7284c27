// Local storage as Python's users see it: attributes that come and go.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "harness/agent/subject.h"

namespace hobbs::agent {

using Attributes = std::map<std::string, Json>;

/// Attributes kept in `mine()`: a map that is the calling thread's own.
template <class Mine>
void serve_local(Subject& subject, Mine mine) {
  subject.get_other = [mine](const std::string& name) -> std::optional<Json> {
    const Attributes& attributes = mine();
    const auto found = attributes.find(name);
    if (found == attributes.end()) return std::nullopt;
    return found->second;
  };
  subject.set_other = [mine](const std::string& name, const Json& value) { mine()[name] = value; };
  subject.delete_other = [mine](const std::string& name) { return mine().erase(name) != 0; };
}

}  // namespace hobbs::agent
