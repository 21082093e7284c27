// One worker of a program alone on a fibre, asked for one request at a time.
//
// Whatever the worker asks of the world it gets from whoever drives it: a LoneWorker has no memory,
// no other workers and no clock of its own. So it can be led down any path of answers, and being
// deterministic it asks the same again when led down the same path.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "harness/explore/direct.h"
#include "harness/explore/fibre.h"
#include "harness/explore/graph/behaviour.h"
#include "harness/explore/graph/clock.h"
#include "harness/explore/interpreter.h"
#include "harness/explore/machine.h"
#include "harness/explore/thread_image.h"
#include "locks/lock.h"

namespace hobbs::explore::graph {

/// A call of the lock begins, or has returned.
struct Mark {
  bool begins = false;
  bool early = false;  // It timed out although its deadline had not passed.
  Step step;
  Outcome outcome = Outcome::kAcquired;  // If it has returned.

  bool operator==(const Mark&) const = default;
};

class LoneWorker final : private Machine {
 public:
  /// Why the workers of this program cannot be run each for itself; empty if they can.
  static std::string unfit(const LockSpec& lock, const Program& program);

  /// `lock` and `program` must outlive this. `nameless`: a worker stands for others with the same
  /// steps, and is refused if it does what tells it from them.
  LoneWorker(const LockSpec& lock, const Program& program, Topology topology,
             bool nameless = false);

  enum class State : std::uint8_t {
    kAsks,    // request() waits for answer().
    kPauses,  // It has seen nothing new and lets others go first; go_on().
    kDone,
    kRefused,  // It does what cannot be answered: see refusal().
  };
  /// Worker `w` begins anew and runs to its first request. `spoilt`: with all bytes of the lock
  /// that other workers were seen to change by plain writes made wrong; a worker that then does
  /// the same does not look at them.
  void start(int w, bool spoilt = false);
  void answer(std::uint64_t value);
  void go_on();

  /// What a worker is while it asks: its stack, what it holds, its clock, and plain data in the
  /// lock if it has changed any.
  struct Image {
    FibreContext context;
    std::uint32_t begin = 0;  // Of its bytes.
    std::uint32_t stack_bytes = 0;
    std::uint32_t round = 0;
    std::uint32_t step = 0;
    std::uint32_t holds = 0;
    bool has_arena = false;
    std::int64_t now_ns = 0;
    std::int64_t deadline_ns = 0;
  };
  /// Takes an image of the worker, which asks, and puts its bytes at the end of `bytes`. False if
  /// none can be had: then the worker must be led to where it was. (A worker that uses the heap is
  /// refused: its blocks would not go back with it.)
  bool take_image(Image& image, std::vector<std::byte>& bytes) const;
  /// Worker `w` asks `request` again, as it did when the image was taken. There are no marks then.
  void restore(int w, const Request& request, const Image& image,
               const std::vector<std::byte>& bytes);
  /// Whether the worker is what it was then.
  bool is(const Image& image, const std::vector<std::byte>& bytes) const;

  State state() const { return state_; }
  const Request& request() const { return request_; }
  /// Equal in equal states of the same worker.
  std::uint64_t fingerprint() const;
  /// Calls that began or ended since the marks were last cleared.
  std::vector<Mark>& marks() { return marks_; }
  const std::vector<Mark>& marks() const { return marks_; }
  const std::string& refusal() const { return refusal_; }
  /// Whether it was refused for what only a nameless worker is refused for.
  bool tells_itself_apart() const { return tells_itself_apart_; }
  /// Whether workers keep plain data of their own in the lock.
  bool keeps_plain_data() const { return keeps_plain_data_; }
  /// From now on the worker is refused.
  void give_up(const char* why) { refusal_ = why; }

  /// What the locations of requests stand for, in the order in which they were met.
  struct Cell {
    enum class Kind : std::uint8_t { kWord, kQueue, kData } kind;
    std::uint8_t size;
    bool is_private;        // kQueue.
    std::uint32_t offset;   // In the arena; kData: which lock's.
    std::uint32_t process;  // kQueue of a private futex.
    std::uint64_t initial;
  };
  const std::vector<Cell>& cells() const { return cells_; }
  std::uint32_t id_of(int w) const;

  // What the interpreter asks of its host.
  const Program& program() const { return program_; }
  const LockOps& ops() const { return lock_.controlled; }
  void* lock_at(unsigned lock) { return arena_ + lock * stride_; }
  std::int64_t now() const { return now_ns_; }
  void begins(int w, const Step& step, std::int64_t deadline_ns);
  void ends(int w, const Step& step, Outcome outcome);
  void work(int w, unsigned lock, Mode mode);
  void breathe(int) {}
  void meet(int, int) { refuse("workers meet"); }
  void rest(int, std::int64_t ns) { now_ns_ += ns; }
  bool await_hold(int, unsigned) { refuse("a worker releases what another holds"); }
  void fork(int) { refuse("a worker forks"); }
  void die(int) { refuse("a worker dies"); }
  void destroy(int, unsigned) { refuse("the lock is destroyed"); }
  void begin_block(int) {}
  void end_block(int) {}

 private:
  static constexpr int kFibre = 0;
  static constexpr int kDirectFibre = 1;
  static constexpr std::int64_t kStartNs = 1'000'000'000;

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
  Turn announce(Access, const void*, unsigned) override { return {}; }
  Turn begin_pause(Site) override {
    leave(State::kPauses);
    return {};
  }
  void end_pause() override {}
  void file_point(Site) override {}
  void refuse_call(const char* why) override { refuse(why); }
  std::uint32_t self() override;
  std::uint32_t pid() override;
  std::uint32_t thread() override;
  bool alive(std::uint32_t id, Site) override;
  std::int64_t now_ns() override;
  void plain(unsigned lock, unsigned word, bool write, Site site) override;

  static void enter(void* self);
  void prepare();
  void run();
  void note_plain_data();
  void leave(State state);
  Request& new_request(Ask ask, Site site);
  std::uint64_t ask();
  bool fails_for_no_reason(void* cell, CompareExchange how, std::uint64_t expected, Site site);
  void touch(Ask ask, unsigned lock, bool own_step, Site site);
  [[noreturn]] void refuse(const char* why);
  void need_a_name();
  std::uint8_t add_cell(const Cell& cell);
  std::uint8_t word(const void* cell, unsigned size);
  /// The word that a futex call means: of 32 bits, or the low half of one of 64.
  std::uint8_t futex_word(const void* cell);
  std::uint8_t queue(const void* word, bool is_private);

  const LockSpec& lock_;
  const Program& program_;
  const Topology topology_;
  const bool nameless_;
  LeasedFibres fibres_;
  ThreadImage thread_image_;
  std::vector<std::byte> pristine_image_;
  const bool sees_heap_calls_;
  std::unique_ptr<std::byte[]> bytes_;  // Owns the arena.
  std::byte* arena_ = nullptr;
  std::size_t stride_ = 0;
  std::vector<std::byte> snapshot_;       // Of the arena: what every worker starts from.
  std::vector<std::uint8_t> changed_by_;  // By byte of the arena: a worker, from 1.
  bool keeps_plain_data_ = false;
  bool tells_itself_apart_ = false;
  bool spoilt_ = false;
  bool dirty_ = false;  // The arena is not the snapshot.
  std::vector<Cell> cells_;
  Progress progress_;
  int worker_ = 0;
  State state_ = State::kDone;
  Request request_;
  std::uint64_t answer_ = 0;
  std::vector<Mark> marks_;
  std::int64_t now_ns_ = kStartNs;
  std::int64_t deadline_ns_ = kNever;  // Of the timed call that it is in.
  std::string refusal_;
};

}  // namespace hobbs::explore::graph
