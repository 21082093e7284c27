// An execution under one memory model: the scheduler plus what the operations do to memory, to the
// guarded data and to happens-before.
#pragma once

#include "harness/explore/direct.h"
#include "harness/explore/guarded_bytes.h"
#include "harness/explore/machine.h"
#include "harness/explore/memory.h"
#include "harness/explore/scheduler.h"

namespace hobbs::explore {

template <MemoryModel kModel>
class Execution final : public Machine, public Scheduler {
 public:
  Execution(const LockSpec& lock, Topology topology);

  std::string load(const Program& program) override;
  const Broken* preset_broken() const override {
    return preset_broken_.rule.empty() ? nullptr : &preset_broken_;
  }
  void watch(Watch* watch) override {
    Scheduler::watch(watch);
    if (watch != nullptr) watch->look_into({arena_, arena_bytes_});
  }
  std::size_t offset_of(int word) const override { return memory_.offset_of(word); }

  // The rest of what the interpreter asks of its host.
  const LockOps& ops() const { return lock_.controlled; }
  /// The lock in memory that all share; of a lock on a path, the current worker's own object.
  [[gnu::always_inline]] void* lock_at(unsigned lock) {
    std::byte* const base =
        on_path() ? arena_ + stride_ * kMaxLocksPerProgram * object_slot() : arena_;
    return base + lock * stride_;
  }
  void begins(int w, Step step, std::int64_t deadline_ns);
  void ends(int w, Step step, Outcome outcome);
  void work(int w, unsigned lock, Mode mode);
  void fork(int w) {
    use_turn();
    if (n_workers_ < kMaxFibres) memory_.add_worker();
    add_worker(w);
  }
  void exec(int w) {
    use_turn();
    files_.exec_child(workers_[w].process);
  }
  void destroy(int w, unsigned lock);
  void begin_block(int w) {
    enter_block(w);
    memory_.begin_block();
  }
  void end_block(int w) {
    if (block_owner_ == w) leave_block();
  }

  // Machine: the operations of the lock.
  Turn announce(Access access, const void* cell, unsigned size) override;
  std::uint64_t load(const void* cell, unsigned size, std::memory_order order, Site site) override;
  void store(void* cell, unsigned size, std::uint64_t value, std::memory_order order,
             Site site) override;
  std::uint64_t read_modify_write(void* cell, Update update, std::uint64_t operand,
                                  std::memory_order order, Site site) override;
  bool compare_exchange(void* cell, CompareExchange how, std::uint64_t& expected,
                        std::uint64_t desired, Site site) override;
  void fence(std::memory_order order, Site site) override;
  WaitResult futex_wait(void* word, std::uint32_t expected, std::int64_t deadline_ns,
                        bool is_private, Site site) override;
  int futex_wake(void* word, int n, bool is_private, Site site) override;
  Turn begin_pause(Site site) override;
  void end_pause() override { look_anew(me()); }
  void file_point(Site site) override;
  std::uint32_t self() override { return workers_[me()].id; }
  std::uint32_t pid() override { return workers_[me()].process; }
  std::uint32_t thread() override { return workers_[me()].thread; }
  bool alive(std::uint32_t id, Site site) override;
  std::int64_t now_ns() override;
  std::int64_t wall_ns() override;
  void plain(unsigned lock, unsigned word, bool write, Site site) override;
  long file_call(const FileCall& call) override;
  void refuse_call(const char* why) override { refuse(why); }
  bool process_runs(std::uint32_t process) override;

 private:
  static constexpr std::size_t kProbeCache = 256;

  /// The data that one lock guards, and who touched it last.
  struct Guarded {
    std::int64_t value = 0;
    std::int64_t expected = 0;                    // What it must be when all is over.
    typename Memory<kModel>::Instants written{};  // The last write, of one worker.
    typename Memory<kModel>::Instants read{};     // The last read of each since then.
  };

  Machine& machine() override { return *this; }
  void begin_memory(int workers) override;
  void drain(int w) override;
  static void run_worker(void* start);
  void inform(int to, int from) override { memory_.inform(to, from); }
  void at_death(int w) override;
  void end_memory_block() override { memory_.end_block(); }
  std::uint64_t memory_hash(int w) const override;
  std::ptrdiff_t room() const override { return memory_.room(); }
  bool roomy() const override {
    return memory_.room() > 0 && memory_.latest() + static_cast<Lane>(kMostMoves) < kMaxLane - 1;
  }
  void at_end() override;

  int me() const { return fibres_.current(); }
  bool on_path() const { return lock_.home == Home::kPath; }
  /// A worker's objects, and those of the two that probe when all is over.
  std::size_t object_slot() const {
    const int current = me();
    return static_cast<std::size_t>(current == kMaxFibres ? kMaxFibres + prober_ : current);
  }
  void construct_on_path();
  void destroy_on_path();
  void files_changed(int w);
  int find(const void* cell, unsigned size);
  Turn announce_new(Pending::Kind kind, const void* cell, unsigned size);
  int announced(int w) const { return scene_.pending[w].word; }
  int find_futex(const void* cell);
  [[noreturn]] void found_none(const void* cell);
  void lay_out();
  void drain_all(int w);
  /// Whether an operation has more to do than what it is for.
  bool is_odd(int w, int word) const {
    return odd_ || !memory_.is_touched(word) || memory_.buffered(w);
  }
  /// Whether a read by w has no choice.
  bool reads_the_newest(int w, int word, std::memory_order order) {
    if constexpr (kModel != MemoryModel::kC11) return true;
    return memory_.choices(w, word, order) <= 1 || workers_[w].look.fresh;
  }
  std::uint64_t load_with_choice(std::memory_order order, Site site);
  void store_with_choice(std::uint64_t value, std::memory_order order, Site site);
  std::uint64_t odd_read_modify_write(Update update, std::uint64_t operand, std::memory_order order,
                                      Site site);
  int choose(int w, Choice choice, int n);
  void begin_access(int word);
  [[noreturn]] void fail_race(int w, int other, bool write, const char* what);
  [[noreturn]] void fail_changed(int w);
  void check_destroyed(std::size_t offset);
  std::string unrunnable(const Program& program) const;
  void learn_habits();
  bool prepare(const Program& program);
  void learn_destructor();
  void probe();
  std::uint64_t words_hash() const;
  bool known_good_end();
  enum class Got : std::uint8_t { kYes, kNo, kWaits };
  Got take_as(std::uint32_t id);
  std::uint32_t spare_id(std::uint32_t other_than) const;
  const char* rule_of_residue() const;
  void report(Event::Kind kind, int word, std::memory_order order, Site site, std::uint64_t before,
              std::uint64_t after, int back, std::uint64_t newest);

  Memory<kModel> memory_;
  FileSystem files_;
  DirectMachine direct_;
  int prober_ = 0;
  const std::size_t stride_;
  const GuardedBytes bytes_;  // Owns the arena.
  std::byte* const arena_;
  const std::size_t arena_bytes_;
  int n_locks_ = 1;
  int most_locks_ = 1;               // Of all programs up to now.
  std::vector<std::byte> snapshot_;  // Before the workers start, after the preset.
  std::vector<std::byte> pristine_;  // A new lock.
  Broken preset_broken_;
  std::array<Guarded, kMaxLocksPerProgram> guarded_;
  std::uint32_t destroyed_ = 0;  // By lock.
  /// kOperates: on atomics, so it is run. kUnfit: and what it frees could not be had back, or it
  /// would wait for ever of a new lock; then none is destroyed.
  enum class Destructor : std::uint8_t { kSilent, kOperates, kUnfit } destructor_{};
  std::array<std::uint64_t, kProbeCache> good_ends_{};
};

}  // namespace hobbs::explore
