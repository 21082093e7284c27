// Judges a sequence of calls against the model while it is made. Pure: it is told what was called,
// what was answered and who waits, and says whether some order of effects explains it.
//
// Calls are made in steps. In a step one or several calls begin, and then everybody comes to rest:
// each call that is outstanding, new or old, has been answered or waits. The step is right if from
// one of the states possible before it the answered calls can take effect one after the other, each
// with its answer, so that in the end all others may go on waiting. What is possible after it is
// what all such orders lead to.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/calls/calls.h"
#include "scenarios/model.h"

namespace hobbs {

/// What is wrong with a step.
struct Breach {
  std::string rule;      // ME-1, LV-1, ...
  std::string sentence;  // Names the call, what it did, and what would have been right, and why.
  Actor actor;           // Whose call it is.
};

/// Not thread-safe; copies are independent.
class CallJudge {
 public:
  CallJudge(const Claims& claims, Home home);

  /// A process has come: unrelated, or forked by a thread of another.
  void add_process(const std::string& process, const std::optional<Actor>& forker = {});
  /// A process has died; calls of its threads may have taken effect or not.
  void kill(const std::string& process);
  /// A thread that was in no call has ended.
  void end(const Actor& actor);

  bool has_process(const std::string& process) const { return processes_.contains(process); }
  /// Whether a call of the actor has not been answered yet.
  bool is_waiting(const Actor& actor) const;
  bool process_is_waiting(const std::string& process) const;
  /// Whether the call lies within the contract in every state that is possible now. The actor's
  /// process is there, and it waits for nothing. What the copy of a holder, in a child that has a
  /// copy of the lock, may do with it is for each lock to say.
  bool is_defined(const Actor& actor, Verb verb, Mode mode);

  void begin(const Move& call);
  void reply(const Actor& actor, Outcome outcome);
  /// The deadline of the actor's timed call has passed.
  void expire(const Actor& actor);

  /// Judges the step that ends here. Without a breach the answered calls are done with, and a new
  /// step begins; with one nothing changes: another settle() after more replies is the same step.
  std::optional<Breach> settle();

  /// A call has left the contract or a limit was met: nothing can be judged any more.
  bool lost() const { return lost_; }

  /// What is sure in all possible states.
  bool surely_holds(const Actor& actor, Mode mode);
  bool may_hold(const Actor& actor);
  bool may_hold(const Actor& actor, Mode mode);
  bool surely_free(const std::string& process) const;
  bool surely_held(const std::string& process) const;
  /// Who waits, in the order in which they began.
  std::vector<Actor> waiting() const;

 private:
  /// A lock: processes that have a copy of their own do not share one.
  struct Instance {
    std::vector<ModelState> states{ModelState{}};  // All that are possible.
  };
  struct Outstanding {
    Actor actor;
    Move move;
    Call call;
    std::size_t instance = 0;
    std::optional<Outcome> outcome;
  };
  using Calls = std::vector<const Outstanding*>;

  std::uint32_t worker(const Actor& actor);
  std::size_t instance_of(const std::string& process) const;
  Call call_for(const Outstanding& one, const Calls& calls) const;
  std::vector<ModelState> after(const std::vector<ModelState>& before, const Calls& calls);
  Breach explain(std::size_t instance, const Calls& calls);
  Breach describe(const ModelState& state, const Outstanding& one, const Calls& calls) const;
  std::string rule_of(const ModelState& state, const Outstanding& one, const Expectation& e) const;
  std::string holders(const ModelState& state) const;
  bool is_ancestor(const std::string& ancestor, std::string process) const;
  bool may_hold_as_copy(const Actor& actor) const;

  Claims claims_;
  Model model_;
  std::vector<Instance> instances_;
  std::map<std::string, std::size_t> processes_;  // Living ones; to their instance.
  std::map<std::string, std::string> parents_;    // Forked to forker, dead ones too.
  std::map<std::string, std::vector<std::uint32_t>> originals_;  // Whose copies main threads are.
  std::map<std::string, std::uint32_t> numbers_;  // Of processes, for the model.
  std::map<Actor, std::uint32_t> workers_;        // Living threads: main ones, and who has called.
  std::vector<std::string> names_{""};            // Of workers, dead ones too.
  std::vector<Outstanding> outstanding_;
  bool lost_ = false;
};

}  // namespace hobbs
