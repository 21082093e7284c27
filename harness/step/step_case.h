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

/// Runs a schedule again; true if it breaks `rule` at its end as it did before.
bool happens_again(const StepCase& one, const std::string& rule,
                   const std::vector<Transition>& path,
                   std::chrono::steady_clock::time_point until);

std::int64_t to_ns(std::chrono::steady_clock::time_point time);

}  // namespace hobbs::step
