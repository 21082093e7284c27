// Conformance cases: what each call on a lock must answer, in a language that names no
// implementation. Pure data and its parser. The language, a line a step:
//
//     # comment                                  ## section
//     [ML-07] mp.Lock | title | source           a case begins; the lock's name, one sentence, why
//     new [ACTOR] OBJ kind(ARGS)                 makes an object; `kind` is mp.Lock, fa.deco, ...
//     fork B A   rawfork B A   spawn C           a process: forked from A with the after-fork hooks
//                                                of its language, forked bare, or fresh
//     kill B     quit B     jointhread A.t1      SIGKILL, an orderly end, the end of one thread
//     let N = A L.attribute                      keeps a value as $N ($D is a private directory)
//     sleep 0.1                                  at least that long, and until all threads rest
//     ACTOR OBJ.method(ARGS) -> EXPECTATION      also OBJ(ARGS) for an object that can be called
//     ACTOR get OBJ.attribute -> ...             set OBJ.attribute = VALUE, del OBJ.attribute
//     ACTOR enter OBJ[.method(ARGS)] -> ...      context managers; exit OBJ
//     ACTOR drop OBJ -> ...                      forgets the object
//     ACTOR alarm 0.15 raise|quiet -> ...        a signal after that long; its handler raises or
//     not ACTOR rec NAME -> ...                      what was recorded under '@rec:N' or '@log'
//     wait ACTOR -> ...                          the end of a call that blocked
//     settle ACTOR -> ...                        the same if the call is still waiting, else
//     nothing
//
// An actor is a process (its main thread) or PROCESS.THREAD; `A` exists from the start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/cases/expectation.h"

namespace hobbs {

/// A thread of a process, by its names in the case.
struct Actor {
  std::string process = "A";
  std::string thread = "main";
  bool operator==(const Actor&) const = default;
  auto operator<=>(const Actor&) const = default;
};
std::string to_text(const Actor& actor);

/// One line of a case.
struct CaseStep {
  enum class Kind : std::uint8_t {
    // What a worker does; these have a request and a reply.
    kNew,
    kCall,
    kGet,
    kSet,
    kDelete,
    kDrop,
    kEnter,
    kExit,
    kAlarm,
    kRecord,
    kLet,
    // What is done to processes and threads.
    kFork,
    kRawFork,
    kSpawn,
    kKill,
    kQuit,
    kJoinThread,
    // What only the runner does.
    kSleep,
    kWait,
    kSettle,
  } kind = Kind::kCall;
  Actor actor;            // Who acts, ends, is waited for, or (fork) is the parent.
  std::string object;     // The object; for fork and spawn the new process.
  std::string member;     // Method or attribute; for new the kind.
  std::string arguments;  // As written, between the parentheses; for let the variable.
  double seconds = 0;     // sleep, alarm.
  bool raises = false;    // alarm: whether the handler raises.
  std::optional<CallExpectation> expectation;
  std::string text;  // The line as written.
  int line = 0;      // In its file, from 1.
};

struct ConformanceCase {
  std::string id;
  std::string lock;
  std::string title;
  std::string source;
  std::string section;
  std::vector<CaseStep> steps;
  int line = 0;
};

/// The case as it stands in a file; parse_cases() reads it back.
std::string to_text(const ConformanceCase& conformance_case);

struct CaseFile {
  std::vector<ConformanceCase> cases;
  std::string error;  // Empty, or one sentence with the line's number.
};

/// Reads a whole file. Besides the grammar it checks what no run could make sense of: unknown
/// processes and objects, undefined variables, a wait for a call that never blocked.
CaseFile parse_cases(std::string_view text);

}  // namespace hobbs
