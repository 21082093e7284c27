// The catalogue of rules: every property that a lock, or hobbs itself, can be held to.
#pragma once

#include <span>
#include <string_view>

namespace hobbs {

struct Rule {
  std::string_view id;        // "ME-1": the family, then a number that never changes its meaning.
  bool core = false;          // Part of what every release of hobbs must be able to judge.
  std::string_view sentence;  // What it demands, without a full stop.
};

struct RuleFamily {
  std::string_view prefix;  // "ME"
  std::string_view name;    // "mutual exclusion"
};

/// All rules, by family, in order of their numbers.
std::span<const Rule> all_rules();

/// The families in the order of all_rules().
std::span<const RuleFamily> rule_families();

/// Why no driver checks the rule, in a sentence without a full stop; empty where there is no reason.
std::string_view why_unchecked(std::string_view id);

/// The rule with that id, or null.
const Rule* find_rule(std::string_view id);

}  // namespace hobbs
