// The worth of each nemesis, measured: every one alone against a list of broken locks.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "locks/lock.h"

namespace hobbs {

/// What one nemesis alone showed of one lock.
struct Sighting {
  std::string lock;
  std::string nemesis;   // "churn"; "kill points" for the scenarios in which workers die.
  std::string scenario;  // That showed it; empty: nothing was found.
  std::string rule;
  std::int64_t took_ms = 0;  // Of running, until it showed.
};

/// Gives each nemesis that fits the lock `budget` of its own, in all its scenarios; takes up to one
/// budget for each, and uses `directory` for files. To be called while the process has one thread.
std::vector<Sighting> try_each_nemesis(const LockSpec& lock, std::chrono::milliseconds budget,
                                       const std::string& directory);

/// Three tables: nemeses by worth (how many locks each shows, those that no other shows, the
/// median time), scenarios by how often they were the first to show, and rule by nemesis.
std::string matrix_words(const std::vector<Sighting>& sightings);

}  // namespace hobbs
