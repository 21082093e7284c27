#include "harness/foreign/stage.h"

#include <utility>

namespace hobbs::foreign {
namespace {

using Objects = AgentLock::Objects;

std::pair<std::string, std::string> split_make(const std::string& text) {
  const std::size_t open = text.find('(');
  return {text.substr(0, open), text.substr(open + 1, text.size() - open - 2)};
}

[[noreturn]] void refuse_object(const std::string& kind, const CallReply& reply) {
  for (const char* lacks : {"KeyError", "AttributeError", "ModuleNotFoundError", "ImportError"}) {
    if (reply.error == lacks) {
      throw NoStage{Verdict::kSkipped, "the agent serves no " + kind + ": " + describe(reply)};
    }
  }
  throw NoStage{Verdict::kInconclusive, "the lock could not be made: " + describe(reply)};
}

}  // namespace

Stage::Stage(const StageSetting& setting, std::size_t workers)
    : lock_(*setting.lock),
      world_(setting.command, setting.parent_directory, *setting.canary, setting.patience) {
  for (std::size_t worker = 0; worker < workers; ++worker) {
    processes_.push_back(std::string(1, static_cast<char>('B' + worker)));
  }
  variables_["D"] = world_.directory();
  world_.spawn("A");
  make_processes();
}

void Stage::make_processes() {
  variables_["R"] = std::to_string(++runs_);
  // What the processes are to share is there before they are.
  if (lock_.objects == Objects::kOne) make_object({}, "L");
  for (const std::string& process : processes_) {
    CaseStep fork;
    fork.kind = CaseStep::Kind::kFork;
    fork.object = process;
    world_.fork(fork);
  }
  make_objects();
}

/// On a path of its own in each execution, since some locks do more at their first use.
void Stage::make_objects() {
  if (lock_.objects == Objects::kOne) return;
  for (std::size_t worker = 0; worker < processes_.size(); ++worker) {
    make_object({processes_[worker], "main"}, object_of(worker));
  }
}

void Stage::renew(bool clean) {
  if (clean) {
    variables_["R"] = std::to_string(++runs_);
    return make_objects();
  }
  for (const std::string& process : processes_) {
    if (world_.has(process)) world_.kill(process);
  }
  make_processes();
}

std::string Stage::object_of(std::size_t worker) const {
  return lock_.objects == Objects::kOne ? "L" : "L_" + processes_[worker];
}

void Stage::make_object(const Actor& actor, const std::string& name) {
  const auto [kind, arguments] = split_make(lock_.make);
  CaseStep step;
  step.kind = CaseStep::Kind::kNew;
  step.actor = actor;
  step.object = name;
  step.member = kind;
  const CallStatus status =
      world_.await(world_.send(step, substitute(arguments, variables_)), Want::kReply);
  if (status.kind != CallStatus::Kind::kReplied) {
    throw NoStage{Verdict::kInconclusive, "the lock could not be made: " + status.evidence};
  }
  if (!status.reply.error.empty()) refuse_object(kind, status.reply);
}

PendingCall Stage::call(std::size_t worker, Verb verb, Mode mode) {
  const AgentCall& spelled = *lock_.find(verb, mode);
  CaseVariables variables = variables_;
  variables["W"] = std::to_string(worker + 1);
  CaseStep step;
  step.actor = {processes_[worker], "main"};
  step.object = object_of(worker);
  step.member = spelled.member;
  return world_.send(step, substitute(spelled.arguments, variables));
}

}  // namespace hobbs::foreign
