// A sequence of calls: who calls what, and when processes come and go, in one order. Pure data.
//
// One line a move:
//
//     A acquire            A.t1 try shared       B timed 30ms      B release
//     B upgrade            B try_upgrade         B downgrade
//     A acquire &          made together with the next move: nobody waits in between
//     fork B A.t1          rawfork C A           spawn D           kill B           end A.t1
//
// Actors are those of the case language: a process, meaning its main thread, or PROCESS.THREAD; `A`
// exists from the start. Any subset of a sequence is a sequence: whoever runs it leaves out moves
// that make no sense where they stand (by somebody who is gone or still waiting, or outside of the
// lock's contract). That is what makes shrinking easy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/cases/case.h"
#include "scenarios/program.h"

namespace hobbs {

struct Move {
  enum class Kind : std::uint8_t {
    kCall,
    kFork,     // With the after-fork hooks of the agent's language.
    kRawFork,  // Without.
    kSpawn,    // A fresh process, related to nobody.
    kKill,     // SIGKILL to the actor's process.
    kEnd,      // The end of the actor's thread, which is not a main thread.
  } kind = Kind::kCall;
  Actor actor;             // Who calls or ends; for a fork the parent.
  std::string process;     // Of fork and spawn: the new one.
  Verb verb = Verb::kTry;  // As scenarios/program.h, those that call the lock.
  Mode mode = Mode::kExclusive;
  std::int64_t wait_ns = 0;  // kTimed; not negative.
  bool together = false;

  bool operator==(const Move&) const = default;
};
using Moves = std::vector<Move>;

inline constexpr std::size_t kMaxMoves = 256;

std::string to_text(const Move& move);
std::string to_text(const Moves& moves);

struct MovesParse {
  Moves moves;
  std::string error;  // Empty, or one sentence with the line's number.
};
MovesParse parse_moves(std::string_view text);

}  // namespace hobbs
