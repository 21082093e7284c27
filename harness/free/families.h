// The table of all programs of the free driver, theme by theme: programs.cc chooses among them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/free/programs.h"

namespace hobbs::gang {

/// The families for one lock, as they come together.
class Families {
 public:
  explicit Families(const LockSpec& lock);

  /// A family of those of `texts` that fit the lock, in all its topologies and under the usual
  /// nemeses; to be changed until the next is added. A text that cannot be read aborts.
  Family& add(std::string name, std::string rules, std::string about,
              const std::vector<std::string>& texts);
  const LockSpec& lock() const { return lock_; }
  /// Whether there is a way to strike inside its calls.
  bool has_points() const;
  /// What can be run; to be called once.
  std::vector<Family> take();

 private:
  const LockSpec& lock_;
  std::vector<Topology> topologies_;
  std::vector<Family> families_;
};

// Each adds its families if the lock's calls and claims allow them.

// burst_families.cc
void add_exclusion(Families& f);
void add_tries(Families& f);
void add_timed(Families& f);
void add_readers(Families& f);
void add_conversions(Families& f);
void add_nested(Families& f);
void add_permits(Families& f, std::uint32_t permits);
void add_interruptions(Families& f);
void add_several(Families& f);
void add_long_holds(Families& f);
void add_wraps(Families& f);
void add_wall_clock(Families& f);
void add_misuse(Families& f);

// place_families.cc
void add_places(Families& f);
void add_first_uses(Families& f);
void add_numbers(Families& f);
void add_placement(Families& f);

// file_families.cc
void add_attacks(Families& f);

// crash_families.cc
void add_crashes(Families& f);

}  // namespace hobbs::gang
