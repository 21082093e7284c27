// Facts about the machine, for reports and for `hobbs doctor`.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace hobbs {

/// host, cpu, cores, kernel: what a reader needs to judge a result. Fixed order.
std::vector<std::pair<std::string, std::string>> machine_facts();

/// The cores this process may use.
unsigned usable_cores();

/// Now, in UTC: "2026-01-31T12:00:00Z".
std::string utc_now();

/// One thing that hobbs needs or likes, whether it is there, and what its lack means.
struct Ability {
  std::string name;
  bool there = false;
  std::string found;    // What was found.
  std::string without;  // What is skipped or worse without it, and how to get it.
};
std::vector<Ability> abilities();
/// One of them: whether semaphores and memory that go by names can be made.
Ability shared_memory();

}  // namespace hobbs
