// The scheduler: fibres, who may move, sleeping and waking, time, death, and the end of it all.
//
// What it does not know is memory: Execution (execution.h) adds the operations and the model.
//
// A worker that wants to do something announces it (point()), and the scheduler asks the strategy
// who moves, unless the worker has been given its turn and has not used it yet (keep_turn()).
// Control goes straight from fibre to fibre; the main stack only begins executions, ends them, and
// decides what to do when nobody can move:
//   1. A worker that paused because its last look at memory changed nothing goes on alone; when it
//      comes back with the same stack and memory, it is stuck for good (a bounded spin differs in
//      its counter, so it gets to its end).
//   2. Else the clock moves to the next deadline.
//   3. Else nothing will ever move: the judge says whether that is allowed.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/explore/explorer.h"
#include "harness/explore/fibre.h"
#include "harness/explore/interpreter.h"
#include "harness/explore/judge.h"
#include "harness/explore/machine.h"
#include "harness/explore/thread_image.h"
#include "harness/explore/weather.h"

namespace hobbs::explore {

class Scheduler : public Explorer {
 public:
  const Ending& run(Strategy& strategy) final;
  Schedule schedule() const final;
  int preemptions() const final;
  int steps() const final { return static_cast<int>(next_move_ - moves_.data()); }
  std::uint64_t operations() const final;
  void listen(std::vector<Event>* events) final { events_ = events; }
  void watch(Watch* watch) override { watch_ = watch; }
  void separate_threads() final { swaps_thread_image_ = true; }

  // What the interpreter asks of its host, as far as it is scheduling.
  const Program& program() const { return program_; }
  std::int64_t now() const { return now_ns_; }
  [[gnu::always_inline]] void breathe(int w) { point(w, {Pending::Kind::kSection, -1}); }
  void meet(int w, int count);
  void rest(int w, std::int64_t ns);
  bool await_hold(int w, unsigned lock);
  void die(int w);

 protected:
  static constexpr std::size_t kMostMoves = std::size_t{1} << 14;
  static constexpr std::int64_t kStartNs = 1'000'000'000;
  static constexpr std::uint64_t kEnvironment = std::uint64_t{1} << 63;  // Among a worker's reads.

  enum class State : std::uint8_t { kReady, kAsleep, kPaused, kMeeting, kResting, kDone, kDead };

  /// So many operations that changed nothing are an unmarked spin.
  static constexpr std::uint32_t kIdleLimit = 100;

  struct alignas(128) Worker {  // A power of two apart.
    State state = State::kReady;
    std::uint32_t id = 0;
    std::uint32_t process = 0;
    std::uint32_t thread = 0;
    int script = 0;                           // Its steps: index into the program.
    std::uint32_t points = 0;                 // Operations begun, for faults.
    std::uint32_t asked_at = 0, asks = 0;     // The time: at that point, so often in a row.
    std::uint32_t kill_at = 0;                // 0: never.
    std::uint32_t alarm_at = kIdleLimit + 1;  // Its next point to take care at: to die there, for
                                              // its idling, or because it makes many in one move.
    bool kills_process = false;
    std::uint32_t alone_from = 0;  // Going on alone: its points when it began to.
    // Asleep, resting or in a timed call: until when.
    std::int64_t wake_ns = controlled::kNever;
    std::int64_t call_deadline_ns = controlled::kNever;
    const void* futex = nullptr;
    bool futex_private = false;
    enum class Woken : std::uint8_t { kNot, kWoken, kInterrupted } woken = Woken::kNot;
    /// Its current look at memory: since the last pause or the beginning of the call.
    struct Look {
      std::uint64_t reads = 0;      // Words, folded to 63 bits; and the environment.
      std::uint32_t idle_from = 0;  // The point of the last change to memory by it.
      bool changed = false;         // Somebody else changed one of them since.
      bool stale = false;           // One of the values was not the newest.
      bool fresh = false;           // This time it must read the newest.
      bool padding = false;         // A whole block is cleared in one go.
    } look;
    /// Since its call began.
    struct InCall {
      std::uint64_t reads = 0;       // Going on alone: what it has looked at;
      std::uint64_t pause_hash = 0;  // at one of its pauses,
      int fruitless = 0;             // how often that was of no use,
      bool hopeless = false;         // and that it will come back to the same pause for ever.
      bool wrote = false;            // Something: others can know of it.
      bool tries = false;            // Its spin tries the lock.
      bool unproven = false;         // Hopeless by a limit: it might have ended after that.
    } in_call;
  };
  static_assert(sizeof(Worker) == 128);

  /// What a fibre begins with, by Start: runs the worker of the derived class to its end, then
  /// finish(). (No virtual function, since each level that a fibre returns through is one where the
  /// processor expects another.)
  struct Start {
    Scheduler* scheduler;
    int worker;
  };
  Scheduler(const LockSpec& lock, Topology topology, Fibres::Entry entry);
  ~Scheduler() override;

  // What the derived class supplies.
  virtual Machine& machine() = 0;
  virtual void begin_memory(int workers) = 0;
  virtual void drain(int w) = 0;              // The oldest buffered store of w reaches memory.
  virtual void inform(int to, int from) = 0;  // Happens-before.
  virtual void at_death(int w) = 0;
  virtual void end_memory_block() = 0;
  /// Of what is in the memory that w uses, plain data of the locks included.
  virtual std::uint64_t memory_hash(int w) const = 0;
  /// For how many more steps there is memory; and whether there is enough of everything for as
  /// many as there can be, before one that is no move: in a block, or by who goes on alone.
  virtual std::ptrdiff_t room() const = 0;
  virtual bool roomy() const = 0;
  /// All workers are done or dead: fails if something is left wrong.
  virtual void at_end() = 0;

  /// From now on runs this program.
  void take(const Program& program);
  /// The worker has done its steps.
  [[noreturn, gnu::always_inline]] void finish(int w) {
    if (told()) tell({.kind = Event::Kind::kEnd, .worker = static_cast<std::int8_t>(w)});
    block(w, State::kDone);
    __builtin_unreachable();
  }

  /// Called before everything that others can see. Returns when it is w's turn.
  [[gnu::always_inline]] void point(int w, Pending pending) { turn(w, pending).take(); }
  /// The same for whoever jumps in the caller's place.
  [[gnu::always_inline]] Turn turn(int w, Pending pending) {
    Worker& me = workers_[w];
    scene_.pending[w] = pending;
    if (++me.points >= me.alarm_at) [[unlikely]]
      return turn_with_care(w);
    return keeps_turn_ ? go_on() : next_turn();
  }
  /// w has been given its turn and has done nothing since that others could notice: what it does
  /// next is part of the same move.
  [[gnu::always_inline]] void keep_turn() { keeps_turn_ = alone_ < 0; }
  [[gnu::always_inline]] void use_turn() { keeps_turn_ = false; }
  /// Memory that w wrote to (`word` folded) has another newest value.
  [[gnu::always_inline]] void changed(int w, int word) {
    workers_[w].in_call.wrote = true;
    const std::uint32_t others = lookers_[word] & kAllBut[w];
    lookers_[word] = static_cast<std::uint8_t>(lookers_[word] ^ others);
    tell_who_looked(w, kFolded[word], others);
  }
  /// Something outside memory is different now: files, who lives.
  void changed_environment(int w) {
    tell_who_looked(w, kEnvironment, ((1u << n_workers_) - 1) & kAllBut[w]);
  }
  /// `others`: who may have looked.
  [[gnu::always_inline]] void tell_who_looked(int w, std::uint64_t bit, std::uint32_t others) {
    workers_[w].look.idle_from = workers_[w].points;
    stalled_time_moves_ = 0;
    for (; others != 0; others &= others - 1) {
      const int u = std::countr_zero(others);
      if ((workers_[u].look.reads & bit) != 0) notice(u);
    }
  }
  [[gnu::always_inline]] void looked(int w, int word, bool stale) {
    Worker::Look& look = workers_[w].look;
    look.reads |= kFolded[word];
    look.stale |= stale;
    lookers_[word] |= static_cast<std::uint8_t>(1u << w);
  }
  void looked_at_environment(int w) { workers_[w].look.reads |= kEnvironment; }
  /// The bit of each word among a worker's reads.
  static constexpr auto kFolded = [] {
    std::array<std::uint64_t, kMaxLocations> bits{};
    for (std::size_t word = 0; word < bits.size(); ++word) {
      bits[word] = std::uint64_t{1} << std::min<std::size_t>(word, 62);
    }
    return bits;
  }();

  static constexpr auto kAllBut = [] {
    std::array<std::uint32_t, kMaxFibres> masks{};
    for (std::size_t w = 0; w < masks.size(); ++w) masks[w] = ~(1u << w);
    return masks;
  }();

  /// The strategy's answer to a choice inside the current step.
  int pick(Choice choice, int n) {
    if (alone_ >= 0) [[unlikely]]
      return 0;
    const int picked = strategy_->pick(scene_, choice, n < kMaxAlternatives ? n : kMaxAlternatives);
    if (picked != 0) note_pick(choice, picked);
    return picked;
  }
  void note_pick(Choice choice, int picked) {
    next_move_[-1].move.choice = choice;
    next_move_[-1].move.amount = static_cast<std::uint8_t>(picked);
  }
  /// The same for a read, if even_picks_now().
  [[gnu::always_inline]] int pick_stale(int n) {
    const int picked =
        even_picks_now_->pick_stale(n < kMaxAlternatives ? n : kMaxAlternatives, *even_);
    note_pick(picked != 0 ? Choice::kStale : Choice::kNone, picked);
    return picked;
  }
  bool even_picks_now() const { return even_picks_now_ != nullptr; }

  /// The worker has looked and wants others to go first; then look_anew().
  [[gnu::always_inline]] Turn turn_of_pause(int w) {
    Worker& me = workers_[w];
    if (me.look.reads == 0) return {};     // It has not looked at anything: a delay, not a wait.
    if (block_owner_ == w) leave_block();  // The block turns out to depend on others.
    use_turn();
    scene_.pending[w].kind = Pending::Kind::kPause;  // Of the same word, as far as one knows.
    if (me.look.changed || me.look.stale) {
      scene_.yielded |= 1u << w;
      return next_turn();
    }
    if (habits_.looks != 0 && looks_on(w)) return {};
    return turn_of_block(w, State::kPaused);
  }
  /// If it has missed something it must see that now.
  [[gnu::always_inline]] void look_anew(int w) {
    const Worker::Look& look = workers_[w].look;
    const bool gave_way = look.reads != 0;
    new_look(w, gave_way ? look.stale : look.fresh);
    if (gave_way) keep_turn();
  }
  /// A call of the lock has come to its end.
  void progressed() { time_moves_since_call_ = 0; }
  /// An untimed call of w asks what time it is: the clock may move on meanwhile.
  void asks_the_time(int w) {
    looked_at_environment(w);
    use_turn();
    if (workers_[w].call_deadline_ns != controlled::kNever || (clock_watchers_ >> w & 1) != 0)
      return;
    clock_watchers_ |= 1u << w;
    update_clock();
  }
  /// Whether w has asked again and again and does nothing else: it waits for the clock.
  bool only_asks(int w) {
    constexpr std::uint32_t kAsksInARow = 64;
    Worker& me = workers_[w];
    if (me.asked_at != me.points) me.asks = 0;
    me.asked_at = me.points;
    return ++me.asks > kAsksInARow;
  }
  [[gnu::always_inline]] void forgets_the_time(int w) {
    if ((clock_watchers_ >> w & 1) == 0) return;
    clock_watchers_ &= ~(1u << w);
    update_clock();
  }
  /// Until woken, interrupted or (if that ever comes) the deadline.
  void sleep(int w, const void* futex, bool is_private, std::int64_t deadline_ns);
  /// The worker leaves the ready ones in this state; comes back when made ready again.
  [[gnu::always_inline]] void block(int w, State state) { turn_of_block(w, state).take(); }
  [[gnu::always_inline]] Turn turn_of_block(int w, State state) {
    Worker& me = workers_[w];
    use_turn();
    if (block_owner_ == w) leave_block();
    if (me.in_call.wrote) judge_.waits_in_call(w);
    me.state = state;
    scene_.ready &= ~(1u << w);
    judge_.settle(scene_.ready);
    if (alone_ == w) [[unlikely]]
      end_going_alone();
    return scene_.ready != 0 ? next_turn() : turn_of_any();
  }
  void wake(int w);
  int wake_futex(int w, const void* futex, int n, bool is_private);
  [[gnu::always_inline]] void new_look(int w, bool fresh) {
    Worker::Look& look = workers_[w].look;
    clear_blocks(look);
    look.idle_from = workers_[w].points;
    look.fresh = fresh;
  }
  /// A call begins: what went before says nothing about what comes.
  [[gnu::always_inline]] void new_call(int w) {
    clear_blocks(workers_[w].in_call);
    Worker::Look& look = workers_[w].look;
    clear_blocks(look);
    look.idle_from = workers_[w].points;
  }
  /// To be called when what can happen besides steps has changed, or who says who moves: settles
  /// once whether the next moves are even draws, which each of them would have to find out.
  void settle() {
    const bool even = even_ != nullptr && !starting_ && alone_ < 0 && !swaps_thread_image_ &&
                      !scene_.other_than_steps();
    end_of_moves_ = std::min<const MoveMade*>(end_of_moves_, next_move_ + room());
    even_until_ = even ? end_of_moves_ : moves_.data();
    even_picks_now_ = even ? even_picks_ : nullptr;
  }
  void enter_block(int w) {
    odd_ = true;
    block_owner_ = w;
    workers_[w].alarm_at = 0;
  }
  void leave_block() {
    odd_ = told();
    block_owner_ = -1;
    end_memory_block();
    settle();
  }
  void update_clock();
  void can_drain(int w, bool can) {
    scene_.drains = (scene_.drains & ~(1u << w)) | (can ? 1u : 0u) << w;
    settle();
  }
  int add_worker(int parent);
  /// The id of one more worker.
  std::uint32_t next_id() const {
    const auto forked = static_cast<std::uint32_t>(n_workers_) -
                        static_cast<std::uint32_t>(program_.workers.size());
    return last_platform_id(program_) + forked + 1;
  }

  [[noreturn]] void fail(const char* rule, std::string text);
  [[noreturn]] void fail(const Broken& broken) { fail(broken.rule.c_str(), broken.text); }
  [[noreturn]] void refuse(const char* why);
  /// As fail(), on the main stack.
  void note(Ending::Kind kind, std::string rule, std::string text);
  bool over() const { return over_; }
  /// Leaves this execution for good; from a fibre.
  [[noreturn]] void leave();

  void tell(Event event) {
    if (events_ == nullptr) [[likely]]
      return;
    event.now_ns = now_ns_;
    events_->push_back(event);
    if (watch_ != nullptr) watch_->look(event.after);
  }
  bool told() const { return events_ != nullptr; }

  /// What somebody does who waits for this lock and whom nobody helps.
  struct Habits {
    int looks = 0;      // Looks so often in vain, then does something else; 0: looks for ever.
    bool naps = false;  // Sleeps until a time of its own choice and looks again.
  };

  const LockSpec& lock_;
  const Topology topology_;
  Habits habits_;
  Program program_;
  Judge judge_;
  Fibres fibres_;
  ThreadImage thread_image_;
  bool swaps_thread_image_ = false;
  std::vector<std::byte> pristine_image_;
  std::array<Worker, kMaxFibres> workers_;
  std::array<Worker, kMaxFibres> fresh_;  // The program's, as an execution begins with them.
  std::array<Progress, kMaxFibres> progress_;
  int n_workers_ = 0;
  /// By word: the workers that have looked at it since somebody else changed it; of some the look
  /// may be over by now.
  std::array<std::uint8_t, 128> lookers_;
  static_assert(kMaxLocations <= 128 && kMaxFibres <= 8);
  Scene scene_;
  int block_owner_ = -1;
  bool odd_ = false;  // Somebody listens, or is in a block.
  std::int64_t now_ns_ = kStartNs;
  Ending ending_;
  bool exact_ = true;

 private:
  static constexpr int kMaxAlternatives = 250;
  static constexpr std::uint64_t kImageCheckPeriod = 64;
  static constexpr int kMostStepsAlone = 1000;   // Then it is the strategy's and the step limit's.
  static constexpr int kFruitlessLimit = 5'000;  // Then nobody knows whether it ends.
  static constexpr int kPausesCounted = 64;      // Alone in vain; then its points count no more.
  static constexpr int kStalledTimeMoves = 200;  // Deadlines that came and changed nothing.
  static constexpr int kTimeMovesPerCall = 2000;

  void begin(Strategy& strategy);
  void start(int w);
  /// Gives the turn to this worker (or the main stack).
  [[gnu::always_inline]] Turn turn_to(int w) {
    if (swaps_thread_image_) [[unlikely]]
      swap_thread_images(w);
    return fibres_.turn_to(w);
  }
  /// Whoever moves does one thing more.
  [[gnu::always_inline]] Turn go_on() {
    use_turn();
    if (next_move_ >= even_until_) [[unlikely]]
      strategy_->goes_on(scene_);
    return {};
  }
  /// Who moves next, of the ready (and there is one). In line and without a call, which would cost
  /// more than all that it does.
  [[gnu::always_inline]] Turn next_turn() {
    if (next_move_ >= even_until_) [[unlikely]]
      return turn_of_any();
    const std::uint32_t ready = scene_.ready;
    const int w = ahead_.ready == ready ? ahead_.worker : ahead_.of(ready);
    ahead_.draw(*even_, ready);
    step_by(w, step_of(w));
    return fibres_.turn_to(w);
  }
  /// The same where more is to be asked, and perhaps nobody is ready.
  Turn turn_of_any();
  Turn turn_with_care(int w);
  void look_after(int w);
  void swap_thread_images(int w);
  [[gnu::noinline]] Turn end_start();
  int choose_among_all();
  bool apply_event(const Move& move);
  [[gnu::always_inline]] void step_by(int w, Move move) {
    // Whether that is a preemption, nobody may want to know: see preemptions().
    *next_move_++ = {move, static_cast<std::uint8_t>(scene_.ready & ~scene_.yielded)};
    scene_.yielded &= kAllBut[w];
    scene_.current = w;
  }
  bool unstick();
  bool go_on_alone();
  void end_going_alone() {
    alone_ = -1;
    persists_ = false;
    settle();
  }
  bool looks_on(int w);
  bool advance_clock(bool forced);
  std::int64_t next_deadline() const;
  void end_stuck();
  /// Something that w has looked at is different now.
  void notice(int w) {
    Worker& me = workers_[w];
    me.look.changed = true;
    me.in_call.hopeless = me.in_call.unproven = false;
    me.in_call.fruitless = 0;
    const bool paused = me.state == State::kPaused;
    me.state = paused ? State::kReady : me.state;
    scene_.ready |= (paused ? 1u : 0u) << w;
  }
  bool everybody_finished() const;
  void note_limit();

  const Fibres::Entry entry_;
  std::array<Start, kMaxFibres> starts_;
  /// In one piece, which the compiler does not see by itself.
  [[gnu::always_inline]] static constexpr Move step_of(int w) {
    return std::bit_cast<Move>(static_cast<std::uint32_t>(w) << 8);
  }
  struct MoveMade {
    Move move;
    std::uint8_t could_go_on;  // Before it, by worker.
  };
  std::vector<MoveMade> moves_;
  MoveMade* next_move_ = nullptr;
  const MoveMade* end_of_moves_ = nullptr;  // Where the step limit is.
  // Who goes on alone, until it blocks or others can move: nobody's choice, and no part of the
  // schedule, since how often somebody must look again before it is given up may differ.
  int alone_ = -1;
  int steps_alone_ = 0;
  // It does so while others could move, and only as long as it does nothing but look. That was
  // somebody's choice.
  bool persists_ = false;
  Strategy* strategy_ = nullptr;
  /// The next even draw, made ahead for those who are ready now: what branches on it (and is
  /// foreseen wrongly every other time) need not wait until it is made.
  struct Ahead {
    std::uint64_t drawn = 0;  // 32 bits.
    std::uint32_t ready = 0;
    int worker = 0;

    int of(std::uint32_t among) const {
      return kBitsOfByte.position[among][drawn * kBitsOfByte.count[among] >> 32];
    }
    [[gnu::always_inline]] void draw(Random& random, std::uint32_t among) {
      drawn = random.next() >> 32;
      ready = among;
      worker = of(among);
    }
  } ahead_;
  Random* even_ = nullptr;                // The strategy's, if it draws its steps evenly;
  const MoveMade* even_until_ = nullptr;  // and how far nothing else is to be asked: see settle().
  const Weather* even_picks_ = nullptr;   // The same for what it picks,
  const Weather* even_picks_now_ = nullptr;  // and null where it is to be asked.
  std::vector<Event>* events_ = nullptr;
  Watch* watch_ = nullptr;
  bool keeps_turn_ = false;
  bool starting_ = false;  // Everybody goes to the first thing that others could see ...
  int started_ = 0;        // ... one after the other: this one does,
  int starters_ = 0;       // of so many.
  bool over_ = false;
  std::array<std::uint8_t, kMaxFibres> futex_queue_;
  int n_asleep_ = 0;
  int met_ = 0;
  int stalled_time_moves_ = 0;
  int time_moves_since_call_ = 0;
  std::uint32_t clock_watchers_ = 0;  // Whose untimed call has asked for the time.
  std::array<std::vector<std::byte>, kMaxFibres> images_;
  std::uint64_t executions_ = 0;
};

static_assert(std::bit_cast<Move>(5u << 8) == Move{Move::Kind::kStep, 5, Choice::kNone, 0});

}  // namespace hobbs::explore
