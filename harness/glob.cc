#include "harness/glob.h"

#include <fnmatch.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace hobbs {
namespace {

constexpr std::size_t kNearMatchesMax = 3;

std::string lowered(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

/// Levenshtein distance: how many letters to change, add or drop.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> split_commas(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view part = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    part = part.substr(0, part.find_last_not_of(' ') + 1);
    if (!part.empty()) parts.emplace_back(part);
  }
  return parts;
}

bool glob_match(std::string_view patterns, std::string_view text) {
  const std::string subject(text);
  const std::vector<std::string> parts = split_commas(patterns);
  return std::any_of(parts.begin(), parts.end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), subject.c_str(), 0) == 0;
  });
}

bool glob_match_any(std::string_view patterns, std::string_view comma_list) {
  const std::vector<std::string> parts = split_commas(comma_list);
  return std::any_of(parts.begin(), parts.end(),
                     [&](const std::string& part) { return glob_match(patterns, part); });
}

std::vector<std::string> near_matches(std::string_view wanted,
                                      const std::vector<std::string>& names) {
  std::string bare = lowered(wanted);
  std::erase_if(bare, [](char c) { return c == '*' || c == '?'; });
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const std::string& name : names) {
    const std::string lower = lowered(name);
    const bool within = !bare.empty() && lower.find(bare) != std::string::npos;
    const std::size_t distance = within ? 0 : edit_distance(bare, lower);
    if (distance <= std::max<std::size_t>(2, bare.size() / 2)) ranked.emplace_back(distance, name);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> best;
  for (const auto& [distance, name] : ranked) {
    if (best.size() < kNearMatchesMax) best.push_back(name);
  }
  return best;
}

}  // namespace hobbs
