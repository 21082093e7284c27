// Runs other programs and takes what they write.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace hobbs::bench {

struct Spawned {
  std::string out;      // Its standard output.
  std::string errors;   // The end of its standard error.
  int exit_code = -1;   // -1: ended by a signal.
  std::string failure;  // Not empty: it could not be run, or did not end in time; one sentence.
};

/// Runs words[0] (a path, or a name on PATH) with those arguments until it ends, at most
/// `patience`; then it is killed. It dies with the caller.
Spawned run_program(const std::vector<std::string>& words, std::chrono::milliseconds patience);

/// Both at once, each with a socket as its standard input, on which they get turns (turns.h).
std::pair<Spawned, Spawned> run_in_turns(const std::vector<std::string>& first,
                                         const std::vector<std::string>& second,
                                         std::chrono::milliseconds patience);

}  // namespace hobbs::bench
