#include "harness/conform/case_runner.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <deque>
#include <map>
#include <system_error>
#include <utility>

#include "harness/conform/world.h"
#include "scenarios/cases/arguments.h"

namespace hobbs {
namespace {

using Kind = CaseStep::Kind;
using ExpectationKind = CallExpectation::Kind;

/// Ends the case at the current step.
struct Stop {
  Verdict verdict;
  std::string reason;
  std::optional<CallAnswer> answer{};
};

const CallAnswer kBlocks{.blocks = true, .reply = {}};

std::string in_seconds(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.3f s", value);
  return buffer;
}

class CaseRun {
 public:
  CaseRun(const ConformanceCase& conformance_case, const CaseSetting& setting, CaseOutcome& outcome)
      : case_(conformance_case),
        outcome_(outcome),
        world_(setting.command, setting.parent_directory, *setting.canary, setting.patience) {
    variables_["D"] = world_.directory();
  }

  void run() {
    world_.spawn("A");
    for (const CaseStep& step : case_.steps) {
      step_ = &step;
      do_step(step);
    }
    step_ = nullptr;
  }

  /// The step at which it stands; null before the first and after the last.
  const CaseStep* step() const { return step_; }

 private:
  void do_step(const CaseStep& step) {
    switch (step.kind) {
      case Kind::kSleep: world_.rest(step.seconds); break;
      case Kind::kSpawn: world_.spawn(step.object); break;
      case Kind::kFork:
      case Kind::kRawFork: world_.fork(step); break;
      case Kind::kKill:
        world_.kill(step.actor.process);
        std::erase_if(pending_,
                      [&](const auto& item) { return item.first.process == step.actor.process; });
        break;
      case Kind::kQuit: world_.quit(step.actor.process); break;
      case Kind::kJoinThread: world_.join_thread(step.actor); break;
      case Kind::kWait:
      case Kind::kSettle: do_wait(step); return;
      case Kind::kLet: do_let(step); return;
      default: do_call(step); return;
    }
    note(step, step.text, nullptr);
  }

  void do_call(const CaseStep& step) {
    if (step.kind == Kind::kAlarm) world_.expect_alarm(step.seconds);
    const PendingCall call = world_.send(step, substitute(step.arguments, variables_));
    const bool blocks = step.expectation && step.expectation->kind == ExpectationKind::kBlocks;
    const bool maybe = step.expectation && step.expectation->maybe;
    const CallStatus status = world_.await(call, blocks  ? Want::kBlock
                                                 : maybe ? Want::kEither
                                                         : Want::kReply);
    if (status.kind == CallStatus::Kind::kReplied) {
      note(step, step.text, &status.reply);
      if (step.kind == Kind::kNew) check_available(step.member, status.reply);
      check(step, call, status.reply);
      return;
    }
    note(step, step.text, nullptr);
    outcome_.evidence.push_back(status.evidence);
    if (status.kind == CallStatus::Kind::kNeither) {
      throw Stop{Verdict::kInconclusive, "it neither returned nor blocked: " + status.evidence};
    }
    if (!blocks && !maybe) {
      throw Stop{Verdict::kFail, "it must return, but it blocks: " + status.evidence, kBlocks};
    }
    outcome_.evidence.pop_back();
    pending_[step.actor].push_back(call);
  }

  void do_wait(const CaseStep& step) {
    std::deque<PendingCall>& calls = pending_[step.actor];
    if (calls.empty()) return;  // Only for `settle`: the call returned at once.
    const PendingCall call = calls.front();
    calls.pop_front();
    const CallStatus status = world_.await(call, Want::kReply);
    if (status.kind == CallStatus::Kind::kReplied) {
      note(step, step.text, &status.reply);
      check(step, call, status.reply);
      return;
    }
    outcome_.evidence.push_back(status.evidence);
    if (status.kind == CallStatus::Kind::kBlocked) {
      throw Stop{Verdict::kFail,
                 "the call must return now, but it still blocks: " + status.evidence, kBlocks};
    }
    throw Stop{Verdict::kInconclusive, "the call neither returned nor blocks: " + status.evidence};
  }

  void do_let(const CaseStep& step) {
    const PendingCall call = world_.send(step, {});
    const CallStatus status = world_.await(call, Want::kReply);
    if (status.kind != CallStatus::Kind::kReplied || !status.reply.error.empty()) {
      throw Stop{Verdict::kFail,
                 "there is no value to keep: " +
                     (status.evidence.empty() ? describe(status.reply) : status.evidence),
                 std::nullopt};
    }
    std::string value = status.reply.result_json;
    if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
    variables_[step.arguments] = value;
    note(step, step.text, &status.reply);
  }

  /// An agent that lacks a library or a lock cannot be judged on it.
  static void check_available(const std::string& kind, const CallReply& reply) {
    if (reply.error == "ModuleNotFoundError" || reply.error == "ImportError") {
      throw Stop{Verdict::kSkipped, "the agent lacks it: " + reply.message};
    }
    if (reply.error == "KeyError" || reply.error == "AttributeError") {
      throw Stop{Verdict::kSkipped, "the agent serves no " + kind};
    }
  }

  void check(const CaseStep& step, const PendingCall& call, const CallReply& reply) {
    if (!step.expectation) return;
    const CallExpectation& expectation = *step.expectation;
    if (!fits(expectation, reply)) {
      const std::string got = describe(reply);
      throw Stop{Verdict::kFail,
                 expectation.kind == ExpectationKind::kBlocks
                     ? "it must block, but it returned " + got
                     : "it gave " + got,
                 CallAnswer{.blocks = false, .reply = reply}};
    }
    const double took_s = static_cast<double>(reply.end_ns - reply.start_ns) / 1e9;
    if (expectation.least_s && took_s < *expectation.least_s) {
      throw Stop{Verdict::kFail, "it returned too early, after " + in_seconds(took_s),
                 std::nullopt};
    }
    if (expectation.most_s && took_s > *expectation.most_s)
      check_lateness(call, took_s, *expectation.most_s);
  }

  /// A call is late only by what the machine cannot have caused.
  void check_lateness(const PendingCall& call, double took_s, double most_s) {
    const double disturbed_s = static_cast<double>(world_.disturbed_ns(call)) / 1e9;
    const std::string facts = "it took " + in_seconds(took_s) +
                              ", and the machine kept it and a control waiting for " +
                              in_seconds(disturbed_s);
    outcome_.evidence.push_back(facts);
    if (took_s - disturbed_s > most_s)
      throw Stop{Verdict::kFail, "it returned too late: " + facts, std::nullopt};
    throw Stop{Verdict::kInconclusive, "the machine was too busy to judge a delay: " + facts};
  }

  void note(const CaseStep& step, const std::string& text, const CallReply* reply) {
    Moment moment;
    const auto lane = lanes_.emplace(step.actor, lanes_.size() + 1).first->second;
    moment.worker = step.kind == Kind::kSleep ? 0 : static_cast<std::uint32_t>(lane);
    moment.text = text.substr(0, text.find("->"));
    if (reply != nullptr) {
      if (origin_ns_ == 0) origin_ns_ = reply->start_ns;
      moment.text += "-> " + describe(*reply);
      moment.from_ns = reply->start_ns - origin_ns_;
      moment.to_ns = reply->end_ns - origin_ns_;
    } else if (step.expectation) {
      moment.text += "-> waits";
    }
    moment.where = "line " + std::to_string(step.line);
    outcome_.moments.push_back(std::move(moment));
  }

  const ConformanceCase& case_;
  CaseOutcome& outcome_;
  World world_;
  CaseVariables variables_;
  const CaseStep* step_ = nullptr;
  std::map<Actor, std::deque<PendingCall>> pending_;
  std::map<Actor, std::size_t> lanes_;
  std::int64_t origin_ns_ = 0;
};

/// Makes `run` and runs it; what stops it becomes the outcome.
void run_into(const ConformanceCase& conformance_case, const CaseSetting& setting,
              CaseOutcome& outcome) {
  const CaseStep* step = nullptr;
  const auto stop = [&](Verdict verdict, const std::string& reason,
                        std::optional<CallAnswer> answer = {}) {
    outcome.verdict = verdict;
    outcome.reason = reason;
    outcome.answer = std::move(answer);
    if (step == nullptr) return;
    outcome.step = step->text;
    outcome.line = step->line;
    if (verdict == Verdict::kFail && !outcome.moments.empty())
      outcome.moments.back().evidence = true;
  };
  try {
    CaseRun run(conformance_case, setting, outcome);
    try {
      run.run();
    } catch (...) {
      step = run.step();
      throw;
    }
  } catch (const Stop& why) {
    stop(why.verdict, why.reason, why.answer);
  } catch (const AgentFault& fault) {
    stop(Verdict::kFail, fault.what());
  } catch (const Undecided& undecided) {
    stop(Verdict::kInconclusive, undecided.what());
  } catch (const std::system_error& error) {
    stop(Verdict::kInconclusive, error.what());
  }
}

}  // namespace

CaseOutcome run_case(const ConformanceCase& conformance_case, const CaseSetting& setting) {
  CaseOutcome outcome;
  const auto start = std::chrono::steady_clock::now();
  run_into(conformance_case, setting, outcome);
  outcome.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::steady_clock::now() - start)
                            .count();
  return outcome;
}

}  // namespace hobbs
