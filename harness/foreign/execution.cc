#include "harness/foreign/execution.h"

#include <poll.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace hobbs::foreign {
namespace {

constexpr std::size_t kStepsMax = 2'000;
constexpr int kLooksInVain = 10;  // Before a poller is taken to poll for ever.
constexpr int kLookMs = 5;
constexpr std::int64_t kTick = 10;  // Of the history's clock, which only orders.

class Execution {
 public:
  Execution(Stage& stage, const AgentLock& lock, const Program& program,
            const ExecutionOptions& options)
      : stage_(stage), lock_(lock), program_(program), options_(options) {
    workers_.resize(program.workers.size());
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      TraceOptions trace;
      trace.socket_path = stage.world().socket_path();
      trace.memory = options.memory;
      trace.replied = [this, w] { return has_replied(workers_[w]); };
      workers_[w].traced = std::make_unique<Traced>(stage.id_of(w), std::move(trace));
      skip_failed(workers_[w], w);
    }
    played_.process_of.resize(workers_.size() + 1);
    for (std::uint32_t id = 0; id <= workers_.size(); ++id) played_.process_of[id] = id;
  }

  Played run(explore::Strategy& strategy) {
    explore::Scene scene;
    scene.workers = static_cast<int>(workers_.size());
    while (played_.schedule.size() < kStepsMax) {
      strike_those_who_wait();
      look_around(scene);
      if (died_ || scene.ready == 0) break;
      const explore::Move move = strategy.next(scene);
      const bool possible = move.kind == explore::Move::Kind::kStep &&
                            move.worker < workers_.size() && scene.is_ready(move.worker);
      if (!possible) {
        lost("the schedule cannot be followed to its end");
        return std::move(played_);
      }
      played_.schedule.push_back(move);
      if (is_due(move.worker)) {
        die(move.worker);
      } else {
        step(move.worker);
      }
      const bool held = workers_[move.worker].state == State::kPoint;
      scene.current = held ? move.worker : -1;  // Between its calls others come for nothing.
    }
    if (played_.schedule.size() < kStepsMax) {
      finish();
    } else {
      lost("an execution without end");
    }
    return std::move(played_);
  }

 private:
  enum class State : std::uint8_t { kBetween, kPoint, kBlocked, kPolls, kDone, kDead };
  struct Worker {
    std::unique_ptr<Traced> traced;
    State state = State::kBetween;
    std::size_t at = 0;  // The next step of its program, or the one that its call makes.
    PendingCall call;
    std::optional<CallReply> reply;
    Operation operation;
    std::vector<Mode> held;    // What it holds, the latest last ...
    std::vector<bool> gained;  // ... and whether each open section did gain it.
    bool fresh = false;        // Of a poller: others have acted since it looked.
    std::uint32_t steps = 0;
    bool told_wait = false;
  };

  bool has_replied(Worker& me) {
    if (me.reply) return true;
    try {
      me.reply = stage_.world().reply_to(me.call);
    } catch (const AgentFault&) {
      return false;  // What has become of the process, its tracer is told.
    }
    return me.reply.has_value();
  }

  void lost(std::string why) {
    played_.end = Played::End::kUndecided;
    played_.reason = std::move(why);
  }

  /// A release of what was not acquired is left out.
  void skip_failed(Worker& me, std::size_t w) {
    const auto& steps = program_.workers[w];
    while (me.at < steps.size() && steps[me.at].verb == Verb::kRelease && !me.gained.back()) {
      me.gained.pop_back();
      ++me.at;
    }
    me.state = me.at == steps.size() ? State::kDone : State::kBetween;
  }

  bool is_due(std::size_t w) const {
    return std::any_of(program_.faults.begin(), program_.faults.end(), [&](const Fault& fault) {
      return fault.worker == w && workers_[w].steps + 1 >= fault.point;
    });
  }

  /// Who waits makes no step, and dies as soon as that is due.
  void strike_those_who_wait() {
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      const State state = workers_[w].state;
      if ((state == State::kBlocked || state == State::kPolls) && is_due(w)) die(w);
    }
  }

  void die(std::size_t w) {
    Worker& me = workers_[w];
    tell(w, "is killed" + where(me));
    Disturbance death{Disturbance::Kind::kKill, id_of(w), tick(), 0};
    me.traced->kill();
    stage_.world().kill(stage_.process(w));
    death.to_ns = tick();
    played_.history.disturbances.push_back(death);
    if (in_call(me)) record_pending(me);
    me.state = State::kDead;
    notice(w);
  }

  std::string where(const Worker& me) {
    if (options_.places == nullptr) return "";
    if (me.state == State::kPoint) {
      return " before " + options_.places->describe(me.traced->process(), me.traced->point());
    }
    if (me.state == State::kBetween) return me.held.empty() ? "" : " while it holds the lock";
    return ", " + me.traced->where();
  }

  static bool in_call(const Worker& me) {
    return me.state == State::kPoint || me.state == State::kBlocked || me.state == State::kPolls;
  }

  void look_around(explore::Scene& scene) {
    scene.ready = scene.yielded = 0;
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      Worker& me = workers_[w];
      const std::uint32_t bit = 1u << w;
      if (me.state == State::kBetween || me.state == State::kPoint) scene.ready |= bit;
      if (me.state == State::kPolls && me.fresh) {
        scene.ready |= bit;
        scene.yielded |= bit;
      }
    }
  }

  void step(std::size_t w) {
    Worker& me = workers_[w];
    ++me.steps;
    bool before_point = me.state == State::kPoint;
    Traced::Stop stop = Traced::Stop::kPoint;
    if (me.state == State::kBetween) {
      begin(me, w);
      stop = me.traced->go_on();
      before_point = stop == Traced::Stop::kPoint;
      if (!before_point) tell(w, call_text(me) + " begins");
    }
    if (before_point) note_point(w);
    if (stop == Traced::Stop::kPoint) stop = me.traced->go_on();
    arrive(w, stop);
    notice(w);
  }

  void note_point(std::size_t w) {
    Worker& me = workers_[w];
    const Point& point = me.traced->point();
    const bool memory = point.kind == Point::Kind::kMemory;
    // Where a process is loaded differs; the place in a page does not.
    constexpr std::uint64_t kPageBytes = 4096;
    const auto number = static_cast<std::uint64_t>(memory ? 0 : point.call.number + 1);
    (memory ? played_.accesses_at : played_.calls_at)
        .insert(point.code % kPageBytes + number * kPageBytes);
    if (options_.places == nullptr) return;
    tell(w, call_text(me) + ": " + options_.places->describe(me.traced->process(), point));
  }

  void begin(Worker& me, std::size_t w) {
    const Step& step = program_.workers[w][me.at];
    const bool release = step.verb == Verb::kRelease;
    const Mode mode = release ? me.held.back() : step.mode;
    me.traced->begin_call();
    me.reply.reset();
    me.told_wait = false;
    me.operation = {};
    me.operation.worker = id_of(w);
    me.operation.verb = step.verb;
    me.operation.mode = mode;
    me.operation.invoked_ns = tick();
    me.call = stage_.call(w, step.verb, mode);
  }

  /// Takes in where a worker has come to.
  void arrive(std::size_t w, Traced::Stop stop) {
    Worker& me = workers_[w];
    switch (stop) {
      case Traced::Stop::kPoint: me.state = State::kPoint; break;
      case Traced::Stop::kReplied: end_call(w); break;
      case Traced::Stop::kBlocked:
      case Traced::Stop::kPolls:
        me.state = stop == Traced::Stop::kBlocked ? State::kBlocked : State::kPolls;
        me.fresh = false;
        if (!std::exchange(me.told_wait, true)) {
          ++played_.waits;
          tell(w, call_text(me) + ": waits, " + me.traced->where());
        }
        break;
      case Traced::Stop::kDied:
        tell(w, call_text(me) + ": its process " + me.traced->where());
        if (in_call(me) || me.state == State::kBetween) record_pending(me);
        me.state = State::kDead;
        died_ = w;
        break;
    }
  }

  void end_call(std::size_t w) {
    Worker& me = workers_[w];
    const Step& step = program_.workers[w][me.at];
    me.operation.returned_ns = tick();
    me.operation.outcome = outcome_of(lock_, step.verb, *me.reply);
    played_.history.operations.push_back(me.operation);
    tell(w, call_text(me) + " -> " + describe(*me.reply));
    if (step.verb == Verb::kRelease) {
      me.held.pop_back();
      me.gained.pop_back();
    } else {
      me.gained.push_back(holds(me.operation.outcome));
      if (me.gained.back()) me.held.push_back(step.mode);
    }
    ++me.at;
    skip_failed(me, w);
  }

  void record_pending(Worker& me) {
    me.operation.pending = true;
    me.operation.returned_ns = INT64_MAX;
    played_.history.operations.push_back(me.operation);
  }

  /// Others may have been woken by what worker `by` did, and go on to where they are held again.
  void notice(std::size_t by) {
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      Worker& me = workers_[w];
      if (w == by || !in_call(me)) continue;
      me.traced->notice_others();
      me.fresh = true;
      if (me.state == State::kBlocked) arrive(w, me.traced->go_on());
    }
  }

  void finish() {
    played_.whole = true;
    for (const Worker& me : workers_) played_.steps.push_back(me.steps);
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      Worker& me = workers_[w];
      if (!in_call(me)) continue;
      record_pending(me);
      played_.waiting.push_back(w);
      played_.in_release = played_.in_release || me.operation.verb == Verb::kRelease;
    }
    const bool deaths = !played_.history.disturbances.empty();
    if (died_) {
      played_.end = Played::End::kDied;
      played_.reason = "its process " + workers_[*died_].traced->where();
      played_.waiting = {*died_};
    } else if (played_.waiting.empty()) {
      played_.clean = !deaths && nobody_holds();
    } else if (deaths && lock_.claims.crash == CrashBehaviour::kStuck) {
      played_.end = Played::End::kExcused;
    } else if (!played_.in_release && all_is_held()) {
      lost("a call waits while the lock is held, and the program never releases it");
    } else {
      confirm_stuck();
    }
  }

  bool nobody_holds() const {
    return std::all_of(workers_.begin(), workers_.end(),
                       [](const Worker& me) { return me.held.empty(); });
  }

  /// Whether those who live hold all there is: of a program that a person wrote.
  bool all_is_held() const {
    std::size_t held = 0;
    for (const Worker& me : workers_) held += me.state == State::kDead ? 0 : me.held.size();
    return held >= (lock_.claims.semaphore ? lock_.claims.permits : 1);
  }

  /// Whoever polls goes on looking, and each time as before, though all others have finished.
  /// False: something else happened.
  bool polls_on(std::size_t w) {
    Worker& me = workers_[w];
    for (int i = 0; i < kLooksInVain; ++i) {
      if (me.traced->go_on() != Traced::Stop::kPolls) return false;
    }
    played_.evidence.push_back("worker " + std::to_string(id_of(w)) + " " + me.traced->where() +
                               ", " + std::to_string(kLooksInVain) +
                               " times more in the same way after all others had finished");
    return true;
  }

  /// Those who poll are let go. False: one of them went on.
  bool polls_unwatched() {
    const auto until = std::chrono::steady_clock::now() + options_.patience;
    while (std::chrono::steady_clock::now() < until) {
      ::poll(nullptr, 0, kLookMs);
      for (Worker& me : workers_) {
        if (me.state == State::kPolls && has_replied(me)) return false;
      }
    }
    if (options_.patience.count() > 0) {
      played_.evidence.push_back("not traced any more, it did so for " +
                                 std::to_string(options_.patience.count()) + " ms");
    }
    return true;
  }

  void confirm_stuck() {
    bool any_polls = false;
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      if (workers_[w].state != State::kPolls) continue;
      any_polls = true;
      if (polls_on(w)) continue;
      lost("a call looked in vain again and again, and then it went on");
      return;
    }
    // Nobody is held any more, and still nobody moves: then it is not we who hold them up. Who is
    // asleep stays so: to be let go he would have to be stopped, and a futex that begins to wait
    // again sees what it was not told. One who polls moves, and has been watched more closely.
    for (Worker& me : workers_) {
      if (me.state != State::kBlocked) me.traced.reset();
    }
    if (any_polls && !polls_unwatched()) {
      return lost("a call looked in vain again and again, and then it went on");
    }
    played_.end = Played::End::kStuck;
    const Want want = any_polls ? Want::kBlock : Want::kReply;
    std::vector<PendingCall> asleep;
    for (const Worker& me : workers_) {
      if (me.state == State::kBlocked) asleep.push_back(me.call);
    }
    if (asleep.empty()) return;
    const std::vector<CallStatus> all = stage_.world().await_all(asleep, want);
    for (const CallStatus& status : all) {
      if (status.kind != CallStatus::Kind::kBlocked) {
        played_.end = Played::End::kUndecided;
        played_.reason = "a call waited while others were held, and then " +
                         std::string(status.kind == CallStatus::Kind::kReplied
                                         ? "it went on"
                                         : "it could not be told whether it waited");
      }
      played_.evidence.push_back("nobody was held any more: " + status.evidence);
    }
  }

  std::string call_text(const Worker& me) const {
    hobbs::Move move;
    move.actor.process = "worker";
    move.verb = me.operation.verb;
    move.mode = me.operation.mode;
    std::string text = to_text(move);
    return text.substr(text.find(' ') + 1);
  }

  void tell(std::size_t w, std::string text) {
    if (options_.places == nullptr) return;
    Moment moment;
    moment.worker = id_of(w);
    moment.text = std::move(text);
    played_.story.push_back(std::move(moment));
  }

  static std::uint32_t id_of(std::size_t w) { return static_cast<std::uint32_t>(w + 1); }
  std::int64_t tick() { return now_ += kTick; }

  Stage& stage_;
  const AgentLock& lock_;
  const Program& program_;
  const ExecutionOptions options_;
  std::vector<Worker> workers_;
  Played played_;
  std::int64_t now_ = 0;
  std::optional<std::size_t> died_;
};

}  // namespace

Played play(Stage& stage, const AgentLock& lock, const Program& program,
            explore::Strategy& strategy, const ExecutionOptions& options) {
  return Execution(stage, lock, program, options).run(strategy);
}

}  // namespace hobbs::foreign
