#include "harness/explore/scheduler.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace hobbs::explore {
namespace {

std::string looks_for_ever(int w, int times) {
  return "worker " + std::to_string(w + 1) + " looked " + std::to_string(times) +
         " times in vain, each time in another state: whether it ever gives up is not known";
}

}  // namespace

Scheduler::Scheduler(const LockSpec& lock, Topology topology, Fibres::Entry entry)
    : lock_(lock),
      topology_(topology),
      judge_(lock),
      fibres_(kMaxFibres + 1),
      pristine_image_(thread_image_.bytes()),
      entry_(entry),
      moves_(kMostMoves) {
  for (int w = 0; w < kMaxFibres; ++w) {
    starts_[w] = {this, w};
    images_[w].resize(thread_image_.bytes());
  }
}

Scheduler::~Scheduler() = default;

void Scheduler::begin(Strategy& strategy) {
  strategy_ = &strategy;
  even_ = strategy.even_steps();
  even_picks_ = strategy.even_picks();
  even_picks_now_ = nullptr;
  if (even_ != nullptr) ahead_.draw(*even_, 0);
  even_until_ = moves_.data();
  ending_.kind = Ending::Kind::kDone;
  over_ = false;
  next_move_ = moves_.data();
  end_of_moves_ = next_move_ + std::min<std::size_t>(moves_.size(), step_limit_);
  n_workers_ = static_cast<int>(program_.workers.size());
  scene_.ready = scene_.drains = scene_.asleep = scene_.yielded = 0;
  scene_.clock = false;
  scene_.current = -1;
  scene_.workers = n_workers_;
  clear_blocks(lookers_);
  n_asleep_ = 0;
  met_ = 0;
  stalled_time_moves_ = time_moves_since_call_ = 0;
  block_owner_ = alone_ = -1;
  odd_ = told();
  persists_ = keeps_turn_ = false;
  clock_watchers_ = 0;
  now_ns_ = kStartNs;
  begin_memory(n_workers_);
  judge_.begin(exact_);
  for (int w = 0; w < n_workers_; ++w) {
    copy_blocks(workers_[w], fresh_[w]);
    progress_[w].begin();
    start(w);
  }
}

/// Lets w, a new worker, stand before its first step (or, forked, where its progress says).
void Scheduler::start(int w) {
  judge_.place(w, workers_[w].id, workers_[w].process);
  scene_.ready |= 1u << w;
  scene_.pending[w] = {};
  fibres_.start(w, entry_, &starts_[w]);
}

void Scheduler::take(const Program& program) {
  program_ = program;
  for (std::size_t w = 0; w < program.workers.size(); ++w) {
    Worker& fresh = fresh_[w];
    fresh = {};
    fresh.id = platform_id(program, w);
    fresh.process = topology_ == Topology::kThreads ? 1000 : 1000 + fresh.id;
    fresh.thread = topology_ == Topology::kThreads ? fresh.id : 0;
    fresh.script = static_cast<int>(w);
  }
  for (const Fault& fault : program.faults) {
    const bool kills =
        fault.kind == Fault::Kind::kKillThread || fault.kind == Fault::Kind::kKillProcess;
    if (!kills || fault.worker >= program.workers.size()) continue;
    Worker& victim = fresh_[fault.worker];
    victim.kill_at = fault.point;
    victim.alarm_at = std::min(fault.point, victim.alarm_at);
    victim.kills_process = fault.kind == Fault::Kind::kKillProcess;
  }
}

const Ending& Scheduler::run(Strategy& strategy) {
  const MachineScope scope(machine());
  const bool watches_image = swaps_thread_image_ || executions_++ % kImageCheckPeriod == 0;
  if (watches_image) thread_image_.save(pristine_image_.data());
  if (swaps_thread_image_) {
    for (auto& image : images_) image = pristine_image_;
  }
  begin(strategy);
  starting_ = true;
  started_ = 0;
  starters_ = n_workers_;
  turn_to(0).take();
  while (!over_) {
    if ((scene_.ready | scene_.drains) == 0) {
      if (everybody_finished()) {
        at_end();
        break;
      }
      if (!unstick()) break;
      continue;
    }
    if (const int w = choose_among_all(); w >= 0) turn_to(w).take();
  }
  if (swaps_thread_image_) {
    thread_image_.restore(pristine_image_.data());
  } else if ((watches_image || ending_.kind == Ending::Kind::kBroken) &&
             thread_image_.differs(pristine_image_.data())) {
    // Workers have seen each other's thread-local variables: nothing of this counts.
    thread_image_.restore(pristine_image_.data());
    swaps_thread_image_ = true;
    ending_.kind = Ending::Kind::kVoid;
  }
  strategy.end();
  return ending_;
}

Schedule Scheduler::schedule() const {
  Schedule schedule;
  for (const MoveMade* made = moves_.data(); made != next_move_; ++made) {
    schedule.push_back(made->move);
  }
  return schedule;
}

int Scheduler::preemptions() const {
  int count = 0, last = -1;
  for (const MoveMade* made = moves_.data(); made != next_move_; ++made) {
    if (made->move.kind != Move::Kind::kStep) continue;
    if (last >= 0 && made->move.worker != last) count += made->could_go_on >> last & 1;
    last = made->move.worker;
  }
  return count;
}

std::uint64_t Scheduler::operations() const {
  std::uint64_t sum = 0;
  for (int w = 0; w < n_workers_; ++w) sum += workers_[w].points;
  return sum;
}

bool Scheduler::everybody_finished() const {
  for (int w = 0; w < n_workers_; ++w) {
    if (workers_[w].state != State::kDone && workers_[w].state != State::kDead) return false;
  }
  return true;
}

void Scheduler::swap_thread_images(int w) {
  if (fibres_.current() >= 0) thread_image_.save(images_[fibres_.current()].data());
  if (w >= 0) thread_image_.restore(images_[w].data());
}

Turn Scheduler::turn_of_any() {
  if (!starting_) return turn_to(choose_among_all());
  return ++started_ < starters_ ? turn_to(started_) : end_start();
}

Turn Scheduler::turn_with_care(int w) {
  const Pending pending = scene_.pending[w];
  look_after(w);
  if (block_owner_ == w) {
    use_turn();
    if (roomy()) return {};
    note_limit();
    leave();
  }
  scene_.pending[w] = pending;
  return keeps_turn_ ? go_on() : next_turn();
}

/// At a point where w may die, or has done nothing to memory for so long that it seems to spin.
void Scheduler::look_after(int w) {
  Worker& me = workers_[w];
  if (me.points == me.kill_at) die(w);
  if (block_owner_ == w) me.look.idle_from = me.points;
  if (me.points - me.look.idle_from > kIdleLimit) {
    turn_of_pause(w).take();
    look_anew(w);
  }
  me.alarm_at = me.look.idle_from + kIdleLimit + 1;
  if (block_owner_ == w) me.alarm_at = 0;
  if (me.kill_at > me.points) me.alarm_at = std::min(me.alarm_at, me.kill_at);
}

Turn Scheduler::end_start() {
  starting_ = false;
  settle();
  return scene_.ready != 0 ? next_turn() : turn_to(choose_among_all());
}

/// Who moves next, having done what else the strategy asks for; -1 if nobody can move, or it is
/// over.
int Scheduler::choose_among_all() {
  if (persists_) {
    const Pending::Kind next = scene_.pending[alone_].kind;
    // To try the lock may be the end of a spin; if it led back into it, it is a look as well.
    bool& tries = workers_[alone_].in_call.tries;
    const bool looks = next == Pending::Kind::kLoad || next == Pending::Kind::kAsk ||
                       (next == Pending::Kind::kUpdate && tries);
    tries |= next == Pending::Kind::kUpdate;
    if (looks && ++steps_alone_ <= 2 * habits_.looks) return scene_.current = alone_;
    end_going_alone();
  }
  if (alone_ >= 0 && !roomy()) {
    note_limit();
    return -1;
  }
  if (alone_ >= 0) {
    if (scene_.ready == 1u << alone_ && scene_.drains == 0 && ++steps_alone_ < kMostStepsAlone) {
      scene_.yielded &= ~scene_.ready;
      return scene_.current = alone_;
    }
    end_going_alone();
  }
  while ((scene_.ready | scene_.drains) != 0) {
    if (next_move_ >= end_of_moves_) [[unlikely]] {
      note_limit();
      return -1;
    }
    const Move move = strategy_->next(scene_);
    if (move.kind != Move::Kind::kStep) [[unlikely]] {
      *next_move_++ = {move, 0};
      if (!apply_event(move)) return -1;
      continue;
    }
    const int w = move.worker;
    if (!scene_.is_ready(w)) [[unlikely]] {
      note(Ending::Kind::kRefused, "", "the schedule moves a worker that cannot move");
      return -1;
    }
    step_by(w, move);
    return w;
  }
  return -1;
}

bool Scheduler::apply_event(const Move& move) {
  const int w = move.worker;
  switch (move.kind) {
    case Move::Kind::kDrain:
      if ((scene_.drains >> w & 1) == 0) break;
      drain(w);
      return true;
    case Move::Kind::kTime:
      if (!scene_.clock) break;
      return advance_clock(false);
    case Move::Kind::kWake:
    case Move::Kind::kInterrupt:
      if ((scene_.asleep >> w & 1) == 0) break;
      tell({.kind = Event::Kind::kSpurious, .worker = static_cast<std::int8_t>(w)});
      workers_[w].woken =
          move.kind == Move::Kind::kWake ? Worker::Woken::kWoken : Worker::Woken::kInterrupted;
      if (move.kind == Move::Kind::kInterrupt) judge_.interrupted(w);
      wake(w);
      return true;
    case Move::Kind::kStep: break;
  }
  note(Ending::Kind::kRefused, "", "the schedule asks for what cannot happen here");
  return false;
}

void Scheduler::wake(int w) {
  Worker& me = workers_[w];
  if (me.state == State::kAsleep) {
    int kept = 0;
    for (int i = 0; i < n_asleep_; ++i) {
      if (futex_queue_[i] != w) futex_queue_[kept++] = futex_queue_[i];
    }
    n_asleep_ = kept;
    scene_.asleep &= ~(1u << w);
    settle();
  }
  me.state = State::kReady;
  me.wake_ns = controlled::kNever;
  scene_.ready |= 1u << w;
}

void Scheduler::sleep(int w, const void* futex, bool is_private, std::int64_t deadline_ns) {
  Worker& me = workers_[w];
  me.futex = futex;
  me.futex_private = is_private;
  me.woken = Worker::Woken::kNot;
  me.wake_ns = deadline_ns;
  futex_queue_[n_asleep_++] = static_cast<std::uint8_t>(w);
  scene_.asleep |= 1u << w;
  update_clock();
  if (deadline_ns <= now_ns_) {
    // Expired, but queued until it runs: a wake that comes before still counts.
    scene_.pending[w] = {Pending::Kind::kFutexWait, -1};
    if (block_owner_ == w) leave_block();
    me.state = State::kAsleep;
    next_turn().take();
  } else {
    block(w, State::kAsleep);
  }
  if (me.state == State::kAsleep) wake(w);
  me.wake_ns = controlled::kNever;
  update_clock();
  new_look(w, false);
}

int Scheduler::wake_futex(int w, const void* futex, int n, bool is_private) {
  int woken = 0;
  for (int i = 0; i < n_asleep_ && woken < n;) {
    const int u = futex_queue_[i];
    Worker& sleeper = workers_[u];
    const bool same_key = sleeper.futex == futex && sleeper.futex_private == is_private &&
                          (!is_private || sleeper.process == workers_[w].process);
    if (!same_key) {
      ++i;
      continue;
    }
    sleeper.woken = Worker::Woken::kWoken;
    ++woken;
    wake(u);
  }
  return woken;
}

std::int64_t Scheduler::next_deadline() const {
  std::int64_t next = controlled::kNever;
  for (int w = 0; w < n_workers_; ++w) {
    for (const std::int64_t at : {workers_[w].wake_ns, workers_[w].call_deadline_ns}) {
      if (at > now_ns_ && at < next) next = at;
    }
  }
  return next;
}

void Scheduler::update_clock() {
  scene_.clock = clock_watchers_ != 0 || next_deadline() != controlled::kNever;
  settle();
}

/// Moves the clock to the next deadline; false if there is none (and nobody looks at the clock).
bool Scheduler::advance_clock(bool forced) {
  std::int64_t next = next_deadline();
  if (next == controlled::kNever) {
    bool watched = !forced && clock_watchers_ != 0;
    for (int w = 0; w < n_workers_; ++w) {
      watched |=
          workers_[w].state == State::kPaused && (workers_[w].look.reads & kEnvironment) != 0;
    }
    if (!watched) return false;
    next = now_ns_ + 1'000'000;  // Somebody waits for a time that only it knows.
  }
  if (forced &&
      (++stalled_time_moves_ > kStalledTimeMoves || ++time_moves_since_call_ > kTimeMovesPerCall)) {
    return false;
  }
  now_ns_ = next;
  tell({.kind = Event::Kind::kTime});
  for (int w = 0; w < n_workers_; ++w) {
    Worker& me = workers_[w];
    if (me.wake_ns <= now_ns_) {
      if (me.state == State::kResting) wake(w);
      if (me.state == State::kAsleep) scene_.ready |= 1u << w;  // Queued until it runs.
    }
    if ((me.look.reads & kEnvironment) != 0) notice(w);
  }
  update_clock();
  return true;
}

/// Nobody can move: makes somebody able to, or ends the execution.
bool Scheduler::unstick() {
  if (go_on_alone()) return true;
  // A sleeper that could have the lock, with nobody left who would wake it, would be saved only by
  // its own deadline: its wakeup is lost all the same. (Who looks again from time to time would
  // have done so without that deadline too.)
  if (!judge_.anybody_died() && !habits_.naps) {
    std::uint32_t lost = 0;
    bool polls = false;
    for (int w = 0; w < n_workers_; ++w) {
      const Worker& me = workers_[w];
      if (!judge_.inside(w)) continue;
      if (me.state != State::kAsleep || me.wake_ns < me.call_deadline_ns) {
        polls = true;
      } else if (!judge_.may_wait(w) && !judge_.behind_readers(w)) {
        // A reader whom a mark that a writer left holds back until the readers inside have gone is
        // only late (Rust's RwLock, PostgreSQL's LWLock): they may go in time.
        lost |= 1u << w;
      }
    }
    if (lost != 0 && !polls && !judge_.nothing_moves(lost, 0)) {
      note(Ending::Kind::kBroken, judge_.broken().rule, judge_.broken().text);
      return false;
    }
  }
  if (advance_clock(true)) return true;
  end_stuck();
  return false;
}

bool Scheduler::go_on_alone() {
  for (int w = 0; w < n_workers_; ++w) {
    Worker& me = workers_[w];
    if (me.state != State::kPaused || me.in_call.hopeless) continue;
    Worker::InCall& spell = me.in_call;
    if (spell.fruitless == 0) spell.reads = 0;
    spell.reads |= me.look.reads;
    const std::uint64_t hash = fibres_.fingerprint(w) ^ memory_hash(w);
    const bool comes_back = spell.fruitless != 0 && hash == spell.pause_hash;
    if (comes_back || ++spell.fruitless > kFruitlessLimit) {
      spell.hopeless = true;
      spell.unproven = !comes_back;
      me.look.reads |= spell.reads;  // Any of it may end the spell, whichever look it was in.
      continue;
    }
    // Brent's way of finding a cycle, however many pauses long it is: the state to come back to is
    // taken anew each time that twice as many have passed.
    if (std::has_single_bit(static_cast<unsigned>(spell.fruitless))) spell.pause_hash = hash;
    // A number that only grows would make each state another one, for it may be left in a register
    // that is saved on the stack.
    if (spell.fruitless == kPausesCounted) me.alone_from = me.points;
    if (spell.fruitless >= kPausesCounted) me.points = me.alone_from;
    alone_ = w;
    settle();
    steps_alone_ = 0;
    me.state = State::kReady;
    scene_.ready |= 1u << w;
    return true;
  }
  return false;
}

/// w has looked in vain: whether it goes on looking although others could move.
bool Scheduler::looks_on(int w) {
  const Choice made = next_move_[-1].move.choice;
  const bool may_choose = made == Choice::kNone || made == Choice::kPersist;
  if (!persists_ && alone_ < 0 && may_choose && pick(Choice::kPersist, 2) != 0) {
    alone_ = w;
    persists_ = true;
    steps_alone_ = 0;
    settle();
  }
  return persists_;
}

void Scheduler::end_stuck() {
  std::uint32_t blocked = 0, meeting = 0;
  int unproven = -1;  // Who might have gone on after all.
  for (int w = 0; w < n_workers_; ++w) {
    if (workers_[w].state == State::kMeeting) meeting |= 1u << w;
    if (judge_.inside(w)) blocked |= 1u << w;
    if (workers_[w].state == State::kPaused && workers_[w].in_call.unproven) unproven = w;
  }
  if (judge_.nothing_moves(blocked, meeting)) {
    note(Ending::Kind::kStuck, "", "nothing moves any more, which the specification allows");
  } else if (unproven >= 0) {
    note(Ending::Kind::kUnsettled, "", looks_for_ever(unproven, kFruitlessLimit));
  } else {
    note(Ending::Kind::kBroken, judge_.broken().rule, judge_.broken().text);
  }
}

void Scheduler::meet(int w, int count) {
  Worker& me = workers_[w];
  point(w, {Pending::Kind::kSection, -1});
  tell({.kind = Event::Kind::kMeet, .worker = static_cast<std::int8_t>(w)});
  if (++met_ % count != 0) {
    block(w, State::kMeeting);
    return;
  }
  for (int u = 0; u < n_workers_; ++u) {
    if (workers_[u].state == State::kMeeting) wake(u);
  }
  new_look(w, me.look.fresh);
}

void Scheduler::rest(int w, std::int64_t ns) {
  point(w, {Pending::Kind::kSection, -1});
  workers_[w].wake_ns = now_ns_ + ns;
  update_clock();
  block(w, State::kResting);
  update_clock();
}

bool Scheduler::await_hold(int w, unsigned lock) {
  point(w, {Pending::Kind::kSection, -1});
  while (judge_.held(static_cast<int>(lock)) <= 0) {
    bool anybody = false;
    for (int u = 0; u < n_workers_; ++u) {
      anybody |= u != w && workers_[u].state != State::kDone && workers_[u].state != State::kDead;
    }
    if (!anybody) return false;
    looked_at_environment(w);
    scene_.yielded |= 1u << w;
    if ((scene_.ready & ~(1u << w)) == 0) return false;
    next_turn().take();
  }
  // Whoever gives back what another took has been told so, and by whom: somebody who holds it.
  for (int u = 0; u < n_workers_; ++u) {
    if (u != w) inform(w, u);
  }
  return true;
}

/// A fork: the child continues behind the parent's current step, holding nothing.
int Scheduler::add_worker(int parent) {
  if (n_workers_ == kMaxFibres) refuse("its program forks more workers than 8");
  const std::uint32_t id = next_id();
  const int w = n_workers_++;
  scene_.workers = n_workers_;
  Worker& me = workers_[w];
  me = {};
  me.id = id;
  me.process = topology_ == Topology::kThreads ? 2000 + id : 1000 + id;
  me.thread = workers_[parent].thread;
  me.script = workers_[parent].script;
  progress_[w].begin_as_child(progress_[parent]);
  start(w);
  judge_.fork(w, parent);
  inform(w, parent);
  if (swaps_thread_image_) thread_image_.save(images_[w].data());
  tell({.kind = Event::Kind::kFork,
        .worker = static_cast<std::int8_t>(parent),
        .after = static_cast<std::uint64_t>(w)});
  return w;
}

void Scheduler::die(int w) {
  use_turn();
  if (alone_ >= 0) end_going_alone();
  const auto end_of = [this](int u) {
    at_death(u);
    wake(u);
    scene_.ready &= ~(1u << u);
    workers_[u].state = State::kDead;
    workers_[u].call_deadline_ns = controlled::kNever;
    judge_.dies(u);
    tell({.kind = Event::Kind::kDeath, .worker = static_cast<std::int8_t>(u)});
  };
  for (int u = 0; u < n_workers_; ++u) {
    const bool goes =
        u == w || (workers_[w].kills_process && workers_[u].process == workers_[w].process);
    if (goes && workers_[u].state != State::kDead && workers_[u].state != State::kDone) end_of(u);
  }
  update_clock();
  changed_environment(w);
  if (block_owner_ == w) leave_block();
  turn_of_any().take();
  __builtin_unreachable();
}

void Scheduler::note(Ending::Kind kind, std::string rule, std::string text) {
  if (over_) return;
  over_ = true;
  ending_.kind = kind;
  ending_.broken = {std::move(rule), std::move(text)};
}

void Scheduler::note_limit() {
  const bool steps =
      next_move_ >= moves_.data() + std::min<std::size_t>(moves_.size(), step_limit_);
  note(Ending::Kind::kLimit, "",
       steps ? "more steps than " + std::to_string(step_limit_)
             : "more stores than one execution keeps");
}

void Scheduler::leave() {
  turn_to(Fibres::kMain).take();
  __builtin_unreachable();
}

void Scheduler::fail(const char* rule, std::string text) {
  note(Ending::Kind::kBroken, rule, std::move(text));
  leave();
}

void Scheduler::refuse(const char* why) {
  note(Ending::Kind::kRefused, "", why);
  leave();
}

}  // namespace hobbs::explore
