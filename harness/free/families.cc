#include "harness/free/families.h"

#include <algorithm>
#include <cstdlib>

#include "harness/free/caught_calls.h"

namespace hobbs::gang {
namespace {

/// In the order of their measured worth (see README): the first turn of all is the widest.
std::vector<Nemesis> nemeses_of(const LockSpec& lock) {
  if (!lock.hooked.available()) {
    // Between the system calls of who opens files there is more to see than between two cores.
    if (!why_no_caught_calls().empty()) return {Nemesis::kChurn, Nemesis::kNone};
    if (lock.home == Home::kPath) return {Nemesis::kDelays, Nemesis::kChurn, Nemesis::kNone};
    return {Nemesis::kChurn, Nemesis::kDelays, Nemesis::kNone};
  }
  return {Nemesis::kYields, Nemesis::kDelays, Nemesis::kChurn, Nemesis::kNone};
}

constexpr std::size_t kProgramsOnPaths = 3;

}  // namespace

Families::Families(const LockSpec& lock) : lock_(lock), topologies_(topologies_of(lock)) {}

Family& Families::add(std::string name, std::string rules, std::string about,
                      const std::vector<std::string>& texts) {
  Family family;
  family.name = std::move(name);
  family.rules = std::move(rules);
  family.about = std::move(about);
  family.topologies = topologies_;
  // Starting a program takes long: only where it is likely to tell something.
  const bool spawns = family.name == "burst/exclusion" || family.name == "burst/readers" ||
                      family.name == "burst/permits" || family.name == "place/addresses";
  if (!spawns) std::erase(family.topologies, Topology::kSpawn);
  family.nemeses = nemeses_of(lock_);
  for (const std::string& text : texts) {
    ParseResult parsed = parse_program(text);
    if (!parsed.error.empty()) std::abort();  // The texts are ours.
    if (fits(lock_, parsed.program)) family.programs.push_back(std::move(parsed.program));
  }
  families_.push_back(std::move(family));
  return families_.back();
}

bool Families::has_points() const {
  return lock_.hooked.available() || why_no_caught_calls().empty();
}

std::vector<Family> Families::take() {
  std::erase_if(families_, [](const Family& family) {
    return family.programs.empty() || family.topologies.empty();
  });
  // On a path a round takes long, as waiters may sleep between looks: few programs, each often.
  for (Family& family : families_) {
    if (lock_.home == Home::kPath && family.programs.size() > kProgramsOnPaths) {
      family.programs.resize(kProgramsOnPaths);
    }
  }
  return std::move(families_);
}

}  // namespace hobbs::gang
