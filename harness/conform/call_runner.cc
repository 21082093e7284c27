#include "harness/conform/call_runner.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "scenarios/calls/judge.h"
#include "scenarios/cases/arguments.h"

namespace hobbs {
namespace {

using Kind = Move::Kind;
using Hazard = KnownHazard::Kind;
using Status = CallStatus::Kind;

constexpr std::int64_t kShortWaitNs = 1'000'000'000;  // A timed call up to this is waited for.
constexpr std::int64_t kLateNs = 1'000'000'000;       // A timed call may end so much later.
constexpr int kDrainMovesMax = 64;
constexpr std::uint32_t kActorsMax = 60;

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

/// Ends the run.
struct Stop {
  Verdict verdict;
  std::string rule;
  std::string sentence;
};

/// Splits KIND(ARGUMENTS).
std::pair<std::string, std::string> split_make(const std::string& text) {
  const std::size_t open = text.find('(');
  return {text.substr(0, open), text.substr(open + 1, text.size() - open - 2)};
}

class CallRunner {
 public:
  CallRunner(const CallSetting& setting, World& world, CallRun& run)
      : setting_(setting),
        lock_(*setting.lock),
        world_(world),
        run_(run),
        judge_(lock_.claims, lock_.home) {
    variables_["D"] = world_.directory();
    variables_["R"] = std::to_string(now_ns());  // Files of a run of their own.
  }

  void run(const Moves& moves) {
    judge_.add_process("A");
    spawns_ = std::any_of(moves.begin(), moves.end(),
                          [](const Move& move) { return move.kind == Kind::kSpawn; });
    if (lock_.objects != AgentLock::Objects::kPerWorker) make_object({}, name_for("A"), true);
    for (const Move& move : moves) {
      if (judge_.lost()) return;
      if (is_late()) break;
      make_move(move);
    }
    settle();
    if (setting_.drain && !is_late()) drain();
  }

  /// Takes away what the run has left, so that another can follow in the same world. False: it
  /// cannot.
  bool clean_up() {
    if (!judge_.waiting().empty()) return false;
    for (const std::string& process : born_) {
      if (judge_.has_process(process)) world_.kill(process);
    }
    for (const auto& [actor, name] : objects_) {
      if (actor.process == "A") left_.push_back(name);
    }
    for (const std::string& name : left_) {
      CaseStep step;
      step.kind = CaseStep::Kind::kDrop;
      step.object = name;
      const CallStatus status = world_.await(world_.send(step, {}), Want::kReply);
      if (status.kind != Status::kReplied) return false;
    }
    return true;
  }

 private:
  struct Pending {
    Move move;
    PendingCall call;
  };

  bool is_late() const { return std::chrono::steady_clock::now() >= setting_.until; }

  void make_move(const Move& wanted) {
    Move move = wanted;
    if (move.kind == Kind::kCall) {
      if (can_call(move)) call(move);
      return;
    }
    settle();
    switch (move.kind) {
      case Kind::kFork:
      case Kind::kRawFork:
        if (can_fork(move)) fork(move);
        break;
      case Kind::kSpawn:
        if (spawns_ && lock_.spawns && is_new(move.process)) spawn(move);
        break;
      case Kind::kKill:
        if (move.actor.process != "A" && judge_.has_process(move.actor.process)) kill(move);
        break;
      case Kind::kEnd:
        if (can_end(move)) end(move);
        break;
      case Kind::kCall: break;
    }
  }

  bool can_call(Move& move) {
    const std::string& process = move.actor.process;
    if (!judge_.has_process(process) || judge_.is_waiting(move.actor)) return false;
    if (!actors_.contains(move.actor) &&
        last_worker_ >= std::min(kActorsMax, lock_.claims.max_workers)) {
      return false;
    }
    if (!lock_.claims.thread_shared && judge_.process_is_waiting(process)) return false;
    const bool acquires =
        move.verb == Verb::kAcquire || move.verb == Verb::kTry || move.verb == Verb::kTimed;
    if (acquires && !lock_.again && judge_.may_hold(move.actor)) return false;
    // Holds of both modes in one hand are for the lock to say: it may wait, refuse or convert, and
    // what a release leaves of them is no less its own.
    const Mode other = move.mode == Mode::kShared ? Mode::kExclusive : Mode::kShared;
    const bool mixes = acquires && !lock_.claims.checks_misuse;
    if (mixes && judge_.may_hold(move.actor, other)) return false;
    // So is a reader who comes again, where reads do not nest: std::shared_mutex leaves it
    // undefined, and some count workers, others reads.
    const bool reads = acquires && move.mode == Mode::kShared && !lock_.claims.reentrant;
    if (reads && judge_.may_hold(move.actor, Mode::kShared)) return false;
    if (move.verb == Verb::kRelease) {  // In the mode in which it is held, if it is.
      for (const Mode mode : {Mode::kExclusive, Mode::kShared}) {
        if (lock_.find(move.verb, mode) && judge_.surely_holds(move.actor, mode)) move.mode = mode;
      }
    }
    return lock_.find(move.verb, move.mode) != nullptr &&
           judge_.is_defined(move.actor, move.verb, move.mode);
  }

  bool is_new(const std::string& process) const {
    return process != "A" && !born_.contains(process);
  }

  bool can_fork(const Move& move) {
    const std::string& parent = move.actor.process;
    if (!lock_.forks || !is_new(move.process) || !judge_.has_process(parent) ||
        judge_.is_waiting(move.actor)) {
      return false;
    }
    const bool raw = move.kind == Kind::kRawFork;
    const bool hazard = lock_.has_hazard(Hazard::kForkWhileHeld, setting_.agent) ||
                        (raw && lock_.has_hazard(Hazard::kRawForkWhileHeld, setting_.agent));
    return !hazard || (judge_.surely_free(parent) && !judge_.process_is_waiting(parent));
  }

  bool can_end(const Move& move) {
    if (!actors_.contains(move.actor) || !judge_.has_process(move.actor.process) ||
        judge_.is_waiting(move.actor)) {
      return false;
    }
    return !lock_.has_hazard(Hazard::kEndWhileHeld, setting_.agent) ||
           judge_.surely_free(move.actor.process);
  }

  void call(const Move& move) {
    if (!actors_.contains(move.actor)) actors_[move.actor] = ++last_worker_;
    const std::string object = object_of(move.actor);
    const AgentCall& spelled = *lock_.find(move.verb, move.mode);
    CaseVariables variables = variables_;
    variables["W"] = std::to_string(actors_.at(move.actor));
    variables["T"] = std::to_string(static_cast<double>(move.wait_ns) / 1e9);
    CaseStep step;
    step.actor = move.actor;
    step.object = object;
    step.member = spelled.member;
    ++run_.calls;
    run_.made.push_back(move);
    judge_.begin(move);
    pending_.push_back({move, world_.send(step, substitute(spelled.arguments, variables))});
    if (!move.together) settle();
  }

  void fork(const Move& move) {
    CaseStep step;
    step.kind = move.kind == Kind::kFork ? CaseStep::Kind::kFork : CaseStep::Kind::kRawFork;
    step.actor = move.actor;
    step.object = move.process;
    world_.fork(step);
    born(move, move.actor);
    if (lock_.objects == AgentLock::Objects::kPerProcess) {
      make_object({move.process, "main"}, name_for(move.process), true);
    }
  }

  void spawn(const Move& move) {
    world_.spawn(move.process);
    born(move, {});
    if (lock_.objects != AgentLock::Objects::kPerWorker) {
      make_object({move.process, "main"}, name_for(move.process), false);
    }
  }

  void born(const Move& move, const std::optional<Actor>& forker) {
    born_.insert(move.process);
    judge_.add_process(move.process, forker);
    note(move, "");
  }

  void kill(const Move& move) {
    world_.kill(move.actor.process);
    judge_.kill(move.actor.process);
    std::erase_if(pending_,
                  [&](const Pending& one) { return one.move.actor.process == move.actor.process; });
    note(move, "");
    settle();
  }

  void end(const Move& move) {
    world_.join_thread(move.actor);
    judge_.end(move.actor);
    actors_.erase(move.actor);
    if (const auto object = objects_.extract(move.actor); object && move.actor.process == "A") {
      left_.push_back(object.mapped());
    }
    note(move, "");
    settle();
  }

  /// What a process calls its lock, if all of its threads share one. A new object never takes the
  /// name of another, which would end that one, and with it what is held through it: that of a
  /// forker, copied into the child, or of a thread that has ended.
  std::string name_for(const std::string& process) const {
    return lock_.objects == AgentLock::Objects::kPerProcess ? "L_" + process : "L";
  }

  /// The object that the actor calls, made if it is the first time.
  std::string object_of(const Actor& actor) {
    if (lock_.objects != AgentLock::Objects::kPerWorker) return name_for(actor.process);
    const auto known = objects_.find(actor);
    if (known != objects_.end()) return known->second;
    const std::string name = "L_" + std::to_string(actors_.at(actor));
    make_object(actor, name, true);
    return name;
  }

  void make_object(const Actor& actor, const std::string& name, bool related) {
    const std::string& make = !related ? lock_.attach : spawns_ ? lock_.make_to_spawn : lock_.make;
    const auto [kind, arguments] = split_make(make);
    CaseStep step;
    step.kind = CaseStep::Kind::kNew;
    step.actor = actor;
    step.object = name;
    step.member = kind;
    const CallStatus status =
        world_.await(world_.send(step, substitute(arguments, variables_)), Want::kReply);
    if (status.kind != Status::kReplied) {
      throw Stop{Verdict::kInconclusive, "", "the lock could not be made: " + status.evidence};
    }
    if (!status.reply.error.empty()) refuse_object(kind, status.reply);
    objects_[actor] = name;
    if (related && spawns_ && actor == Actor{} && !lock_.handle.empty()) keep_handle(name);
  }

  [[noreturn]] static void refuse_object(const std::string& kind, const CallReply& reply) {
    for (const char* lacks : {"KeyError", "AttributeError", "ModuleNotFoundError", "ImportError"}) {
      if (reply.error == lacks) {
        throw Stop{Verdict::kSkipped, "", "the agent serves no " + kind + ": " + describe(reply)};
      }
    }
    throw Stop{Verdict::kInconclusive, "", "the lock could not be made: " + describe(reply)};
  }

  void keep_handle(const std::string& object) {
    CaseStep step;
    step.kind = CaseStep::Kind::kGet;
    step.object = object;
    step.member = lock_.handle;
    const CallStatus status = world_.await(world_.send(step, {}), Want::kReply);
    std::string value = status.reply.result_json;
    if (value.size() < 2 || value.front() != '"') {
      throw Stop{Verdict::kInconclusive, "", "the lock has no name for other processes"};
    }
    variables_["N"] = value.substr(1, value.size() - 2);
  }

  /// Ends a step: everybody is answered or waits, and the judge agrees.
  void settle() {
    if (pending_.empty() || judge_.lost()) return;
    take(Want::kEither);
    wait_for_deadlines();
    std::optional<Breach> breach = judge_.settle();
    bool proven = true;
    for (bool answered = true; breach && answered && !pending_.empty();) {
      // Before anybody is accused, those who wait are watched until nothing can happen any more.
      const std::size_t waited = pending_.size();
      proven = take(Want::kReply);
      answered = pending_.size() < waited;
      if (answered) take(Want::kEither);
      breach = judge_.settle();
    }
    if (!breach) return;
    mark(breach->actor);
    std::string text = breach->sentence;
    if (!proven) text = "not proven, since somebody kept moving: " + text;
    throw Stop{proven ? Verdict::kFail : Verdict::kInconclusive, breach->rule, text};
  }

  /// Marks the actor's last moment as what breaks the rule.
  void mark(const Actor& actor) {
    const auto lane = lanes_.find(actor);
    for (auto moment = run_.moments.rbegin(); moment != run_.moments.rend(); ++moment) {
      if (lane == lanes_.end() || moment->worker != lane->second) continue;
      moment->evidence = true;
      return;
    }
  }

  /// Takes all replies; true if whoever did not reply is proven to be blocked.
  bool take(Want want) {
    if (pending_.empty()) return true;
    std::vector<PendingCall> calls;
    for (const Pending& one : pending_) calls.push_back(one.call);
    const std::vector<CallStatus> statuses = world_.await_all(calls, want);
    std::vector<Pending> left;
    std::vector<std::string> evidence;
    bool all_blocked = true;
    for (std::size_t i = 0; i < statuses.size(); ++i) {
      const Pending& one = pending_[i];
      if (statuses[i].kind == Status::kReplied) {
        judge_.reply(one.move.actor, outcome_of(lock_, one.move.verb, statuses[i].reply));
        note(one.move, describe(statuses[i].reply), &statuses[i].reply);
        check_times(one, statuses[i].reply);
        continue;
      }
      all_blocked = all_blocked && statuses[i].kind == Status::kBlocked;
      evidence.push_back(statuses[i].evidence);
      if (!noted_waits_.contains(one.call.id)) {
        noted_waits_.insert(one.call.id);
        ++run_.waits;
        note(one.move, "waits");
      }
      if (now_ns() > one.call.sent_ns + one.move.wait_ns) judge_.expire(one.move.actor);
      left.push_back(one);
    }
    pending_ = std::move(left);
    run_.evidence = std::move(evidence);
    return all_blocked;
  }

  /// A timed call that is due soon is waited for, so that its end belongs to this step.
  void wait_for_deadlines() {
    std::int64_t due_ns = 0;
    for (const Pending& one : pending_) {
      if (one.move.verb != Verb::kTimed || one.move.wait_ns > kShortWaitNs) continue;
      due_ns = std::max(due_ns, one.call.sent_ns + one.move.wait_ns);
    }
    if (due_ns == 0) return;
    world_.rest(static_cast<double>(std::max<std::int64_t>(0, due_ns - now_ns())) / 1e9);
    take(Want::kEither);
  }

  void check_times(const Pending& one, const CallReply& reply) {
    if (one.move.verb != Verb::kTimed) return;
    const std::int64_t took_ns = reply.end_ns - reply.start_ns;
    const bool gave_up = outcome_of(lock_, one.move.verb, reply) == Outcome::kTimedOut;
    const auto ms = [](std::int64_t ns) { return std::to_string(ns / 1'000'000) + " ms"; };
    // Clocks differ a little: some locks count their time on another than this one.
    const std::int64_t slack_ns = 1'000'000 + one.move.wait_ns / 20;
    if (gave_up && took_ns < one.move.wait_ns - slack_ns) {
      throw Stop{Verdict::kFail, "TO-1",
                 "'" + to_text(one.move) + "' gave up after " + ms(took_ns) + " already"};
    }
    const std::int64_t disturbed_ns = world_.disturbed_ns(one.call);
    if (gave_up && took_ns > one.move.wait_ns + kLateNs + disturbed_ns) {
      throw Stop{Verdict::kFail, "TO-2",
                 "'" + to_text(one.move) + "' gave up only after " + ms(took_ns) +
                     ", and the machine explains " + ms(disturbed_ns) + " of that"};
    }
  }

  /// Releases whatever is known to be held, until nobody waits; then the lock must be free.
  void drain() {
    for (int i = 0; i < kDrainMovesMax && !judge_.lost(); ++i) {
      Move move;
      move.verb = Verb::kRelease;
      if (!find_release(move)) break;
      make_move(move);
    }
    if (judge_.lost() || !judge_.waiting().empty()) return;
    Move move;
    move.verb = lock_.find(Verb::kTry, Mode::kExclusive) ? Verb::kTry : Verb::kAcquire;
    if (!judge_.surely_free("A")) return;
    make_move(move);
    if (judge_.lost()) return;
    move.verb = Verb::kRelease;
    make_move(move);
  }

  /// Fills in who can release now, and in which mode.
  bool find_release(Move& move) {
    for (const auto& [actor, worker] : actors_) {
      if (!judge_.has_process(actor.process) || judge_.is_waiting(actor)) continue;
      for (const Mode mode : {Mode::kExclusive, Mode::kShared}) {
        move.mode = mode;
        move.actor = actor;
        if (judge_.surely_holds(actor, mode) && lock_.find(Verb::kRelease, mode)) return true;
      }
      move.mode = Mode::kExclusive;
      const bool anyone = lock_.claims.releaser == Releaser::kAnyone || lock_.claims.semaphore;
      if (anyone && judge_.surely_held(actor.process)) return true;
    }
    return false;
  }

  void note(const Move& move, const std::string& answer, const CallReply* reply = nullptr) {
    if (move.kind != Kind::kCall) run_.made.push_back(move);
    Moment moment;
    const bool births = move.kind == Kind::kSpawn || move.kind == Kind::kKill;
    if (!births) {
      moment.worker =
          static_cast<std::uint32_t>(lanes_.emplace(move.actor, lanes_.size() + 1).first->second);
    }
    moment.text = to_text(move) + (answer.empty() ? "" : " -> " + answer);
    if (reply != nullptr) {
      if (origin_ns_ == 0) origin_ns_ = reply->start_ns;
      moment.from_ns = reply->start_ns - origin_ns_;
      moment.to_ns = reply->end_ns - origin_ns_;
    }
    run_.moments.push_back(std::move(moment));
  }

  const CallSetting& setting_;
  const AgentLock& lock_;
  World& world_;
  CallRun& run_;
  CallJudge judge_;
  CaseVariables variables_;
  bool spawns_ = false;
  std::vector<Pending> pending_;
  std::set<std::uint64_t> noted_waits_;
  std::set<std::string> born_;
  std::map<Actor, std::uint32_t> actors_;  // Threads that have called and not ended; their ids.
  std::uint32_t last_worker_ = 0;
  std::map<Actor, std::string> objects_;  // Who made which.
  std::vector<std::string> left_;         // Objects of threads of A that have ended.
  std::map<Actor, std::size_t> lanes_;
  std::int64_t origin_ns_ = 0;
};

}  // namespace

CallRun run_calls(const Moves& moves, const CallSetting& setting, std::unique_ptr<World>& world) {
  CallRun run;
  const auto stop = [&](Verdict verdict, const std::string& rule, const std::string& sentence) {
    run.verdict = verdict;
    run.rule = rule;
    run.sentence = sentence;
    const bool marked = std::any_of(run.moments.begin(), run.moments.end(),
                                    [](const Moment& moment) { return moment.evidence; });
    if (verdict == Verdict::kFail && !marked && !run.moments.empty()) {
      run.moments.back().evidence = true;
    }
  };
  bool clean = false;
  try {
    if (world == nullptr) {
      world = std::make_unique<World>(setting.command, setting.parent_directory, *setting.canary,
                                      setting.patience);
      world->spawn("A");
    }
    CallRunner runner(setting, *world, run);
    try {
      runner.run(moves);
    } catch (const Stop& why) {
      stop(why.verdict, why.rule, why.sentence);
    }
    clean = runner.clean_up();
  } catch (const AgentFault& fault) {
    stop(Verdict::kFail, "LV-2", fault.what());
  } catch (const Undecided& undecided) {
    stop(Verdict::kInconclusive, "", undecided.what());
  } catch (const std::system_error& error) {
    stop(Verdict::kInconclusive, "", error.what());
  }
  if (!clean) world.reset();
  return run;
}

}  // namespace hobbs
