// One search: a program of a lock under a memory model; as a replay file and back.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/step/programs.h"
#include "harness/step/search.h"
#include "harness/step/world.h"
#include "reports/replay_case.h"

namespace hobbs::step {

struct StepCase {
  const LockSpec& lock;
  NamedProgram program;
  WorldOptions options;

  std::string scenario() const;  // "binary/tso/3x1"
  std::string rules() const;     // Comma-separated: those that it judges.
};

/// `directory`: for the files of a lock on a path.
StepCase make_case(const LockSpec& lock, NamedProgram program, Memory memory, int preemptions,
                   const std::string& directory);

std::string memory_name(Memory memory);

ReplayCase to_replay(const StepCase& one, const SearchReport& report);

/// A replay file's case; `error` says in one sentence why it is none.
StepCase from_replay(const LockSpec& lock, const ReplayCase& replay, const std::string& directory,
                     std::string& error);

/// What a schedule comes to that is run again.
struct Again {
  enum class End : std::uint8_t {
    kBroken,       // It breaks its rule at its end, as before.
    kKept,         // It does not, and nor does what follows.
    kOther,        // It breaks the rule `what`, or its own at another step.
    kNotFollowed,  // The workers do other steps.
    kUndecided,    // It could not be followed to its end, or searched from there: `what`.
  } end = End::kKept;
  std::string what;
};
Again run_again(const StepCase& one, const std::string& rule, const std::vector<Transition>& path,
                std::chrono::steady_clock::time_point until);
/// Whether it breaks `rule` at its end, as before.
bool happens_again(const StepCase& one, const std::string& rule,
                   const std::vector<Transition>& path,
                   std::chrono::steady_clock::time_point until);

std::int64_t to_ns(std::chrono::steady_clock::time_point time);

}  // namespace hobbs::step
