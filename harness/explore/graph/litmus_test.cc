// The outcome that tells memory models apart, for each of the classic litmus tests, from the
// literature: Alglave, Maranget, Tautschnig, "Herding cats" (TOPLAS 2014) for the shapes and for
// x86; Lahav et al., "Repairing sequential consistency in C/C++11" (PLDI 2017) for RC11; the
// working draft's [atomics.order] for the seq_cst order of C++20.
#include "harness/explore/graph/litmus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "harness/explore/graph/explorer.h"

namespace hobbs::explore::graph {
namespace {

struct Case {
  const char* name;
  const char* program;
  const char* outcome;  // As outcome_of() tells it: what each thread read; what memory holds.
  const char* models;   // That allow it.
};

constexpr Case kCases[] = {
    {"MP", "x=1:rlx y=1:rlx | y:rlx x:rlx", "|1 0; 1 1", "c11"},
    {"MP, nothing reordered", "x=1:rlx y=1:rlx | y:rlx x:rlx", "|1 1; 1 1", "sc tso c11"},
    {"MP, release and acquire", "x=1:rlx y=1:rel | y:acq x:rlx", "|1 0; 1 1", ""},
    {"MP, release alone", "x=1:rlx y=1:rel | y:rlx x:rlx", "|1 0; 1 1", "c11"},
    {"MP, acquire alone", "x=1:rlx y=1:rlx | y:acq x:rlx", "|1 0; 1 1", "c11"},
    {"MP, fences", "x=1:rlx F:rel y=1:rlx | y:rlx F:acq x:rlx", "|1 0; 1 1", ""},
    {"MP, release fence alone", "x=1:rlx F:rel y=1:rlx | y:rlx x:rlx", "|1 0; 1 1", "c11"},
    {"MP, release and acquire fence", "x=1:rlx y=1:rel | y:rlx F:acq x:rlx", "|1 0; 1 1", ""},
    {"MP, waiting", "x=1:rlx y=1:rel | y==1:acq x:rlx", "|1 0; 1 1", ""},
    {"MP, waiting relaxed", "x=1:rlx y=1:rlx | y==1:rlx x:rlx", "|1 0; 1 1", "c11"},
    {"SB", "x=1:rel y:acq | y=1:rel x:acq", "0|0; 1 1", "tso c11"},
    {"SB, seq_cst", "x=1:sc y:sc | y=1:sc x:sc", "0|0; 1 1", ""},
    {"SB, seq_cst stores", "x=1:sc y:acq | y=1:sc x:acq", "0|0; 1 1", "c11"},
    {"SB, seq_cst loads", "x=1:rel y:sc | y=1:rel x:sc", "0|0; 1 1", "tso c11"},
    {"SB, fences", "x=1:rlx F:sc y:rlx | y=1:rlx F:sc x:rlx", "0|0; 1 1", ""},
    {"SB, one fence", "x=1:rlx F:sc y:rlx | y=1:rlx x:rlx", "0|0; 1 1", "tso c11"},
    {"SB, acq_rel fences", "x=1:rlx F:ar y:rlx | y=1:rlx F:ar x:rlx", "0|0; 1 1", "tso c11"},
    {"SB, exchanges", "x<-1:ar y:acq | y<-1:ar x:acq", "0 0|0 0; 1 1", "c11"},
    {"SB, fence and seq_cst", "x=1:rlx F:sc y:rlx | y=1:sc x:sc", "0|0; 1 1", ""},
    {"LB", "x:rlx y=1:rlx | y:rlx x=1:rlx", "1|1; 1 1", ""},
    {"IRIW", "x=1:rel | y=1:rel | x:acq y:acq | y:acq x:acq", "||1 0|1 0; 1 1", "c11"},
    {"IRIW, seq_cst", "x=1:sc | y=1:sc | x:sc y:sc | y:sc x:sc", "||1 0|1 0; 1 1", ""},
    {"IRIW, seq_cst reads", "x=1:rel | y=1:rel | x:sc y:sc | y:sc x:sc", "||1 0|1 0; 1 1", ""},
    {"RWC, seq_cst but one store", "x=1:rel | x:sc y:sc | y=1:sc x:sc", "|1 0|0; 1 1", ""},
    {"IRIW, fences", "x=1:rlx | y=1:rlx | x:rlx F:sc y:rlx | y:rlx F:sc x:rlx", "||1 0|1 0; 1 1",
     ""},
    {"CoRR", "x=1:rlx | x:rlx x:rlx", "|1 0; 1", ""},
    {"CoRR, two readers", "x=1:rlx | x=2:rlx | x:rlx x:rlx | x:rlx x:rlx", "||1 2|2 1; 2", ""},
    {"CoWR", "x=1:rlx x:rlx | x=2:rlx", "2|; 1", ""},
    {"CoWR, overwritten", "x=1:rlx x:rlx | x=2:rlx", "2|; 2", "sc tso c11"},
    {"CoRW", "x:rlx x=1:rlx | x=2:rlx", "2|; 2", ""},
    {"CoWW", "x=1:rlx x=2:rlx", "; 1", ""},
    {"2+2W", "x=1:rlx y=2:rlx | y=1:rlx x=2:rlx", "|; 1 1", "c11"},
    {"2+2W, release", "x=1:rel y=2:rel | y=1:rel x=2:rel", "|; 1 1", "c11"},
    {"2+2W, seq_cst", "x=1:sc y=2:sc | y=1:sc x=2:sc", "|; 1 1", ""},
    {"2+2W, fences", "x=1:rlx F:sc y=2:rlx | y=1:rlx F:sc x=2:rlx", "|; 1 1", ""},
    {"release sequence through an update", "x=1:rlx y=1:rel | y+1:rlx | y==2:acq x:rlx",
     "|1|2 0; 1 2", ""},
    {"no release sequence through a store (since C++20)",
     "x=1:rlx y=1:rel y=2:rlx | y==2:acq x:rlx", "|2 0; 1 2", "c11"},
    {"release sequence headed by a fence", "x=1:rlx F:rel y=1:rlx | y+1:rlx | y==2:acq x:rlx",
     "|1|2 0; 1 2", ""},
    {"updates are atomic", "x+1:rlx | x+1:rlx", "0|0; 1", ""},
    {"updates read the newest", "x+1:rlx | x=5:rlx", "0|; 1", ""},
    {"one compare-exchange wins", "x?0>1:rlx | x?0>2:rlx", "0|0; 2", ""},
    {"a compare-exchange that fails", "x?0>1:rlx | x?0>2:rlx", "0|1; 1", "sc tso c11"},
    {"WRC", "x=1:rlx | x==1:rlx y=1:rlx | y:rlx x:rlx", "|1|1 0; 1 1", "c11"},
    {"WRC, what was read is not unread", "x=1:rlx | x==1:rlx y=1:rel | y:acq x:rlx", "|1|1 0; 1 1",
     ""},
    {"WRC, acquire", "x=1:rel | x==1:acq y=1:rel | y:acq x:rlx", "|1|1 0; 1 1", ""},
    {"ISA2", "x=1:rlx y=1:rel | y==1:acq z=1:rel | z:acq x:rlx", "|1|1 0; 1 1 1", ""},
    {"ISA2, relaxed middle", "x=1:rlx y=1:rel | y==1:rlx z=1:rel | z:acq x:rlx", "|1|1 0; 1 1 1",
     "c11"},
    {"S", "x=2:rlx y=1:rlx | y:rlx x=1:rlx", "|1; 2 1", "c11"},
    {"S, release and acquire", "x=2:rlx y=1:rel | y:acq x=1:rlx", "|1; 2 1", ""},
    {"R", "x=1:rel y=1:rel | y=2:rel x:acq", "|0; 1 2", "tso c11"},
    {"R, seq_cst", "x=1:sc y=1:sc | y=2:sc x:sc", "|0; 1 2", ""},
    {"RWC", "x=1:rel | x:acq y:acq | y=1:rel x:acq", "|1 0|0; 1 1", "tso c11"},
    {"RWC, fences", "x=1:rlx | x:rlx F:sc y:rlx | y=1:rlx F:sc x:rlx", "|1 0|0; 1 1", ""},
    // Happens-before that is not strongly so does not bind the order of seq_cst operations.
    {"Z6.U", "x=1:sc y=1:rel | y+1:sc y:rlx | y=3:sc x:sc", "|1 3|0; 1 3", "c11"},
    {"Z6.U, all seq_cst", "x=1:sc y=1:sc | y+1:sc y:rlx | y=3:sc x:sc", "|1 3|0; 1 3", ""},
    {"n6 of x86", "x=1:rlx x:rlx y:rlx | y=1:rlx x=2:rlx", "1 0|; 1 1", "tso c11"},
    {"own store seen early", "x=1:rlx x:rlx y:rlx | y=1:rlx y:rlx x:rlx", "1 0|1 0; 1 1",
     "tso c11"},
};

std::map<std::string, Ending> outcomes(const char* text, Model model) {
  Litmus program(text);
  std::map<std::string, Ending> seen;
  const Tally tally = Explorer(program, model, {}).run([&](const Graph& graph, Ending ending) {
    if (ending == Ending::kComplete || seen.empty()) seen[outcome_of(program, graph)] = ending;
    return true;
  });
  EXPECT_EQ(tally.limit, Limit::kNone);
  return seen;
}

TEST(Litmus, EachModelAllowsExactlyWhatTheLiteratureSays) {
  for (const Case& test : kCases) {
    for (const Model model : {Model::kSc, Model::kTso, Model::kC11}) {
      const bool allowed =
          std::string_view(test.models).find(to_string(model)) != std::string::npos;
      EXPECT_EQ(outcomes(test.program, model).contains(test.outcome), allowed)
          << test.name << " under " << to_string(model) << ": " << test.program << " => "
          << test.outcome;
    }
  }
}

TEST(Litmus, EachExecutionOfIndependentReadsIsMetOnce) {
  Litmus program("x=1:rel | y=1:rel | x:acq y:acq | y:acq x:acq");
  std::set<std::string> graphs;
  const Tally tally = Explorer(program, Model::kC11, {}).run([&](const Graph& graph, Ending) {
    EXPECT_TRUE(graphs.insert(text_of(graph)).second);
    return true;
  });
  EXPECT_EQ(tally.executions, 16u);
}

struct EndingCase {
  const char* name;
  const char* program;
  Ending worst;
};

/// The worst ending of any execution, in the order of the enumeration.
Ending worst_ending(const char* text, Model model) {
  Litmus program(text);
  Ending worst = Ending::kComplete;
  Explorer(program, model, {}).run([&](const Graph&, Ending ending) {
    worst = std::max(worst, ending);
    return true;
  });
  return worst;
}

TEST(Litmus, TellsHowExecutionsEnd) {
  constexpr EndingCase kEndings[] = {
      {"a wait that is always ended", "x=1:rlx | x==1:rlx", Ending::kComplete},
      {"a wait that nobody ends", "x=1:rlx | x==2:rlx", Ending::kDeadlock},
      {"a value that passes by", "x=1:rlx x=0:rlx | x==1:rlx", Ending::kDeadlock},
      {"a circle of waits", "x==1:rlx y=1:rlx | y==1:rlx x=1:rlx", Ending::kDeadlock},
      {"guarded data", "!x= y=1:rel | y==1:acq !x", Ending::kComplete},
      {"data guarded by a relaxed store", "!x= y=1:rlx | y==1:acq !x", Ending::kRace},
      {"two readers of data", "!x | !x", Ending::kComplete},
      {"reader and writer of data", "!x | !x=", Ending::kRace},
      {"sleeper and waker", "x=1:rlx wake(x,1) | sleep(x,0)", Ending::kComplete},
      {"a wake without a store", "wake(x,1) | sleep(x,0)", Ending::kDeadlock},
      {"one wake for two sleepers", "x=1:rlx wake(x,1) | sleep(x,0) | sleep(x,0)",
       Ending::kDeadlock},
      {"a wake for all sleepers", "x=1:rlx wake(x,9) | sleep(x,0) | sleep(x,0)", Ending::kComplete},
      {"a sleeper that may give up", "wake(x,1) | timed(x,0)", Ending::kBlocked},
  };
  for (const EndingCase& test : kEndings) {
    for (const Model model : {Model::kSc, Model::kTso, Model::kC11}) {
      EXPECT_EQ(worst_ending(test.program, model), test.worst)
          << test.name << " under " << to_string(model) << ": " << test.program;
    }
  }
}

}  // namespace
}  // namespace hobbs::explore::graph
