#include "harness/free/matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/free/free_driver.h"
#include "harness/free/programs.h"

namespace hobbs {
namespace {

constexpr std::string_view kKillPoints = "kill points";

/// What selects each nemesis alone, by its name: see FreeDriver.
std::map<std::string, std::string> selections_of(const LockSpec& lock) {
  std::map<std::string, std::string> selections;
  for (const gang::Family& family : gang::families_of(lock)) {
    for (const gang::Nemesis nemesis : family.nemeses) {
      const std::string name(to_string(nemesis));
      std::string& selection = selections[family.kills ? std::string(kKillPoints) : name];
      selection += (selection.empty() ? "" : ",") + family.name + "+" + name;
    }
  }
  return selections;
}

/// What one nemesis, or one scenario, has shown.
struct Worth {
  std::string name;
  std::set<std::string> tried, shown;
  std::size_t alone = 0;  // Shown by nothing else.
  std::vector<std::int64_t> took_ms;

  std::int64_t median_ms() const {
    std::vector<std::int64_t> sorted = took_ms;
    std::sort(sorted.begin(), sorted.end());
    return sorted.empty() ? 0 : sorted[sorted.size() / 2];
  }
};

std::vector<Worth> ranked(std::map<std::string, Worth> by_name) {
  std::vector<Worth> list;
  for (auto& [name, worth] : by_name) {
    worth.name = name;
    list.push_back(std::move(worth));
  }
  std::stable_sort(list.begin(), list.end(), [](const Worth& a, const Worth& b) {
    return a.shown.size() != b.shown.size() ? a.shown.size() > b.shown.size()
                                            : a.median_ms() < b.median_ms();
  });
  return list;
}

std::vector<Worth> nemeses_by_worth(const std::vector<Sighting>& sightings) {
  std::map<std::string, Worth> by_name;
  std::map<std::string, std::size_t> times_shown;
  for (const Sighting& sighting : sightings) {
    Worth& worth = by_name[sighting.nemesis];
    worth.tried.insert(sighting.lock);
    if (sighting.scenario.empty()) continue;
    worth.shown.insert(sighting.lock);
    worth.took_ms.push_back(sighting.took_ms);
    ++times_shown[sighting.lock];
  }
  for (auto& [name, worth] : by_name) {
    worth.alone = static_cast<std::size_t>(
        std::count_if(worth.shown.begin(), worth.shown.end(),
                      [&](const std::string& lock) { return times_shown[lock] == 1; }));
  }
  return ranked(std::move(by_name));
}

std::string rules_by_nemesis(const std::vector<Sighting>& sightings,
                             const std::vector<Worth>& nemeses) {
  std::map<std::string, std::map<std::string, std::size_t>> count;
  for (const Sighting& sighting : sightings) {
    if (!sighting.scenario.empty()) ++count[sighting.rule][sighting.nemesis];
  }
  std::string words = "| rule |";
  for (const Worth& nemesis : nemeses) words += " " + nemesis.name + " |";
  words += "\n|---|";
  for (std::size_t i = 0; i < nemeses.size(); ++i) words += "---|";
  words += "\n";
  for (auto& [rule, row] : count) {
    words += "| " + rule + " |";
    for (const Worth& nemesis : nemeses) {
      const auto at = row.find(nemesis.name);
      words += at == row.end() ? "  |" : fmt::format(" {} |", at->second);
    }
    words += "\n";
  }
  return words;
}

}  // namespace

std::vector<Sighting> try_each_nemesis(const LockSpec& lock, std::chrono::milliseconds budget,
                                       const std::string& directory) {
  std::vector<Sighting> sightings;
  FreeDriver driver;
  if (!driver.unfit(lock).empty()) return sightings;
  for (const auto& [nemesis, selection] : selections_of(lock)) {
    Request request;
    request.until = std::chrono::steady_clock::now() + budget;
    request.scenarios = selection;
    request.work_directory = directory;
    Sighting sighting{lock.name, nemesis, "", "", 0};
    for (const Result& result : driver.run(lock, request)) {
      sighting.took_ms += result.duration_ms;
      if (result.verdict != Verdict::kFail) continue;
      sighting.scenario = result.scenario;
      sighting.rule = result.rule;
    }
    sightings.push_back(std::move(sighting));
  }
  return sightings;
}

std::string matrix_words(const std::vector<Sighting>& sightings) {
  std::set<std::string> locks, shown;
  std::map<std::string, Worth> scenarios;
  for (const Sighting& sighting : sightings) {
    locks.insert(sighting.lock);
    if (sighting.scenario.empty()) continue;
    shown.insert(sighting.lock);
    scenarios[sighting.scenario].shown.insert(sighting.lock);
    scenarios[sighting.scenario].took_ms.push_back(sighting.took_ms);
  }
  const std::vector<Worth> nemeses = nemeses_by_worth(sightings);
  std::string words = fmt::format("{} of {} locks shown\n\n", shown.size(), locks.size());
  words += "| nemesis | shows | of | nothing else does | median ms |\n|---|---|---|---|---|\n";
  for (const Worth& worth : nemeses) {
    words += fmt::format("| {} | {} | {} | {} | {} |\n", worth.name, worth.shown.size(),
                         worth.tried.size(), worth.alone, worth.median_ms());
  }
  words += "\n| scenario that showed it | locks | median ms |\n|---|---|---|\n";
  for (const Worth& worth : ranked(std::move(scenarios))) {
    words += fmt::format("| {} | {} | {} |\n", worth.name, worth.shown.size(), worth.median_ms());
  }
  return words + "\n" + rules_by_nemesis(sightings, nemeses);
}

}  // namespace hobbs
