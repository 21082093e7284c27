#include "harness/explore/graph/lone_worker.h"

#include <algorithm>
#include <cstring>

namespace hobbs::explore::graph {
namespace {

constexpr std::size_t kWipedStackBytes = 8 * 1024;
constexpr std::size_t kArenaAlignment = 4096;
// Vectors that grow on a fibre would leave addresses in the gaps of its frames.
constexpr std::size_t kMaxCells = 250;  // A location is one byte.
constexpr std::size_t kUsualMarks = 64;
constexpr const char* kHasNoName = "it tells itself from other workers";
constexpr std::int64_t kDeepestNesting = 4;  // More acquires in one step are too many events.

std::size_t round_up(std::size_t value, std::size_t to) { return (value + to - 1) / to * to; }

}  // namespace

std::string LoneWorker::unfit(const LockSpec& lock, const Program& program) {
  if (!program.faults.empty()) return "workers die";
  if (program.workers.size() > static_cast<std::size_t>(kMaxThreads)) return "too many workers";
  for (const auto& steps : program.workers) {
    for (const Step& step : steps) {
      switch (step.verb) {
        case Verb::kMeet: return "workers meet";
        case Verb::kPost: return "a worker releases what another holds";
        case Verb::kMisuse: return "a worker releases what it does not hold";
        case Verb::kFork: return "a worker forks";
        case Verb::kDie: return "a worker dies";
        case Verb::kDestroy: return "the lock is destroyed";
        case Verb::kAcquire:
          if (step.amount > kDeepestNesting) return "it nests deeply";
          break;
        default: break;
      }
      if (step.lock != 0) return "there is more than one lock";
    }
  }
  if (lock.home == Home::kPath) return "files are not part of an execution graph";
  return lock.controlled.available() ? "" : "the lock cannot be controlled";
}

LoneWorker::LoneWorker(const LockSpec& lock, const Program& program, Topology topology,
                       bool nameless)
    : lock_(lock),
      program_(program),
      topology_(topology),
      nameless_(nameless),
      fibres_(2),
      pristine_image_(thread_image_.bytes()),
      sees_heap_calls_(Machine::sees_heap_calls()) {
  stride_ = round_up(ops().size, std::max<std::size_t>(ops().align, 64));
  bytes_ = std::make_unique_for_overwrite<std::byte[]>(stride_ + kArenaAlignment);
  const auto address = reinterpret_cast<std::uintptr_t>(bytes_.get());
  arena_ = bytes_.get() + (round_up(address, kArenaAlignment) - address);
  std::memset(arena_, 0, stride_);
  cells_.reserve(kMaxCells);
  marks_.reserve(kUsualMarks);
  prepare();
}

/// What every worker starts from: a new lock, after the program's preset pairs.
void LoneWorker::prepare() {
  FileSystem files;
  files.reset();
  DirectMachine direct(*fibres_, kDirectFibre, files, topology_ == Topology::kThreads);
  const bool done = direct.run(1, kStartNs, [this] {
    ops().construct(lock_at(0), nullptr);
    for (std::uint32_t pair = 0; pair < program_.preset; ++pair) {
      preset_pair(ops(), lock_at(0));
    }
  });
  if (!done) refusal_ = "its preset does not come to an end";
  snapshot_.assign(arena_, arena_ + stride_);
  changed_by_.resize(stride_);
}

std::uint32_t LoneWorker::id_of(int w) const {
  return platform_id(program_, static_cast<std::size_t>(w));
}

void LoneWorker::enter(void* self) {
  LoneWorker& worker = *static_cast<LoneWorker*>(self);
  Interpreter<LoneWorker>::run(worker, worker.worker_, worker.worker_, worker.progress_);
  worker.leave(State::kDone);
}

void LoneWorker::start(int w, bool spoilt) {
  worker_ = w;
  std::copy(snapshot_.begin(), snapshot_.end(), arena_);
  for (std::size_t i = 0; spoilt && i < changed_by_.size(); ++i) {
    if (changed_by_[i] != 0 && changed_by_[i] != w + 1) arena_[i] = ~arena_[i];
  }
  spoilt_ = spoilt;
  dirty_ = false;
  now_ns_ = kStartNs;
  deadline_ns_ = kNever;
  marks_.clear();
  progress_.begin();
  fibres_->wipe(kFibre, kWipedStackBytes);
  fibres_->start(kFibre, &LoneWorker::enter, this);
  run();
}

void LoneWorker::answer(std::uint64_t value) {
  answer_ = value;
  run();
}

void LoneWorker::go_on() { run(); }

/// Lets the worker run to its next stop.
void LoneWorker::run() {
  if (!refusal_.empty()) {
    state_ = State::kRefused;
    return;
  }
  const MachineScope scope(*this);
  thread_image_.save(pristine_image_.data());
  const std::uint64_t heap_calls_before = heap_calls();
  fibres_->continue_alike(kFibre);
  dirty_ = std::memcmp(arena_, snapshot_.data(), snapshot_.size()) != 0;
  if (dirty_ && !spoilt_) note_plain_data();
  if (heap_calls() != heap_calls_before && refusal_.empty()) refusal_ = "it allocates memory";
  if (thread_image_.differs(pristine_image_.data())) {
    thread_image_.restore(pristine_image_.data());
    refusal_ = "it keeps data in thread-local variables";
  }
  if (!refusal_.empty()) state_ = State::kRefused;
}

/// Operations on atomics leave the arena alone, so what changed is plain data. Only what a single
/// worker uses is its own affair.
void LoneWorker::note_plain_data() {
  keeps_plain_data_ = true;
  if (nameless_) {
    tells_itself_apart_ = true;
    refusal_ = kHasNoName;
    return;
  }
  const auto me = static_cast<std::uint8_t>(worker_ + 1);
  for (std::size_t i = 0; i < snapshot_.size(); ++i) {
    if (arena_[i] == snapshot_[i] || changed_by_[i] == me) continue;
    const bool is_atomic = std::any_of(cells_.begin(), cells_.end(), [i](const Cell& cell) {
      return cell.kind == Cell::Kind::kWord && i >= cell.offset && i < cell.offset + cell.size;
    });
    if (changed_by_[i] != 0 || is_atomic) refusal_ = "its workers share plain data";
    changed_by_[i] = me;
  }
}

std::uint64_t LoneWorker::fingerprint() const {
  std::uint64_t hash = fibres_->fingerprint(kFibre);
  const auto mix = [&hash](std::uint64_t word) { hash = (hash ^ word) * 0xff51afd7ed558ccdull; };
  mix(static_cast<std::uint64_t>(now_ns_));
  mix(static_cast<std::uint64_t>(deadline_ns_));
  mix(std::uint64_t{progress_.round} << 32 | progress_.step);
  for (std::uint32_t i = 0; i < progress_.holds; ++i) {
    const Progress::Hold& hold = progress_.hold[i];
    mix(std::uint64_t{hold.times} << 32 | static_cast<std::uint64_t>(hold.mode) << 16 |
        static_cast<std::uint64_t>(hold.lock) << 8 | (hold.held ? 1u : 0u));
  }
  for (std::size_t i = 0; dirty_ && i < snapshot_.size(); ++i) {
    if (arena_[i] == snapshot_[i]) continue;
    hash = (hash ^ (i << 8 | std::to_integer<std::uint64_t>(arena_[i]))) * 0xff51afd7ed558ccdull;
  }
  return hash;
}

bool LoneWorker::take_image(Image& image, std::vector<std::byte>& bytes) const {
#ifdef HOBBS_FIBRES_TELL_SANITIZER
  return false;
#endif
  if (!sees_heap_calls_) return false;
  const Fibres::Live live = fibres_->live(kFibre);
  const auto* holds = reinterpret_cast<const std::byte*>(progress_.hold.data());
  image.context = fibres_->context(kFibre);
  image.begin = static_cast<std::uint32_t>(bytes.size());
  image.stack_bytes = static_cast<std::uint32_t>(live.end - live.begin);
  image.round = progress_.round;
  image.step = progress_.step;
  image.holds = progress_.holds;
  image.has_arena = dirty_;
  image.now_ns = now_ns_;
  image.deadline_ns = deadline_ns_;
  bytes.insert(bytes.end(), live.begin, live.end);
  bytes.insert(bytes.end(), holds, holds + image.holds * sizeof(Progress::Hold));
  if (dirty_) bytes.insert(bytes.end(), arena_, arena_ + stride_);
  return true;
}

void LoneWorker::restore(int w, const Request& request, const Image& image,
                         const std::vector<std::byte>& bytes) {
  const std::byte* from = bytes.data() + image.begin;
  worker_ = w;
  request_ = request;
  state_ = State::kAsks;
  marks_.clear();
  fibres_->restore(kFibre, image.context, from);
  from += image.stack_bytes;
  progress_.round = image.round;
  progress_.step = image.step;
  progress_.holds = image.holds;
  std::memcpy(progress_.hold.data(), from, image.holds * sizeof(Progress::Hold));
  from += image.holds * sizeof(Progress::Hold);
  now_ns_ = image.now_ns;
  deadline_ns_ = image.deadline_ns;
  if (image.has_arena) {
    std::memcpy(arena_, from, stride_);
  } else if (dirty_ || spoilt_) {
    std::copy(snapshot_.begin(), snapshot_.end(), arena_);
  }
  dirty_ = image.has_arena;
  spoilt_ = false;
}

bool LoneWorker::is(const Image& image, const std::vector<std::byte>& bytes) const {
  const Fibres::Live live = fibres_->live(kFibre);
  const FibreContext& context = fibres_->context(kFibre);
  if (context.stack_pointer != image.context.stack_pointer ||
      context.instruction != image.context.instruction || dirty_ != image.has_arena ||
      now_ns_ != image.now_ns || deadline_ns_ != image.deadline_ns ||
      progress_.round != image.round || progress_.step != image.step ||
      progress_.holds != image.holds) {
    return false;
  }
  const std::byte* const stack = bytes.data() + image.begin;
  const std::byte* const arena = stack + image.stack_bytes + image.holds * sizeof(Progress::Hold);
  return std::memcmp(live.begin, stack, image.stack_bytes) == 0 &&
         (!dirty_ || std::memcmp(arena_, arena, stride_) == 0);
}

void LoneWorker::leave(State state) {
  state_ = state;
  fibres_->switch_to(Fibres::kMain);
}

/// The next request is made where it is asked from, not on the fibre's stack: what stands there is
/// kept and compared.
Request& LoneWorker::new_request(Ask ask, Site site) {
  request_ = {};
  request_.ask = ask;
  request_.site = site;
  return request_;
}

std::uint64_t LoneWorker::ask() {
  // Which all workers have in common here.
  if (fibres_->on_stack(kFibre, request_.operand) || fibres_->on_stack(kFibre, request_.expected)) {
    refuse("it knows its workers by addresses on their stacks");
  }
  leave(State::kAsks);
  return answer_;
}

void LoneWorker::refuse(const char* why) {
  refusal_ = why;
  leave(State::kRefused);
  __builtin_unreachable();
}

std::uint8_t LoneWorker::add_cell(const Cell& cell) {
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const Cell& c = cells_[i];
    if (c.kind == cell.kind && c.offset == cell.offset && c.size == cell.size &&
        c.is_private == cell.is_private && c.process == cell.process) {
      return static_cast<std::uint8_t>(i);
    }
    if (c.kind == Cell::Kind::kWord && cell.kind == Cell::Kind::kWord &&
        c.offset < cell.offset + cell.size && cell.offset < c.offset + c.size) {
      refuse("it accesses the same bytes in different sizes");
    }
  }
  if (cells_.size() == kMaxCells) refuse("it uses too many atomic words");
  cells_.push_back(cell);
  return static_cast<std::uint8_t>(cells_.size() - 1);
}

std::uint8_t LoneWorker::word(const void* cell, unsigned size) {
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(cell) - arena_);
  if (offset + size > ops().size) refuse("it uses an atomic outside its own memory");
  Cell made{};
  made.kind = Cell::Kind::kWord;
  made.size = static_cast<std::uint8_t>(size);
  made.offset = static_cast<std::uint32_t>(offset);
  for (std::size_t i = offset; keeps_plain_data_ && i < offset + size; ++i) {
    if (changed_by_[i] != 0) refuse("its workers share plain data");
  }
  std::memcpy(&made.initial, snapshot_.data() + offset, size);
  return add_cell(made);
}

std::uint8_t LoneWorker::futex_word(const void* cell) {
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(cell) - arena_);
  for (const Cell& c : cells_) {
    if (c.kind == Cell::Kind::kWord && c.offset == offset && c.size == 8) return word(cell, 8);
  }
  return word(cell, 4);
}

std::uint8_t LoneWorker::queue(const void* word, bool is_private) {
  Cell made{};
  made.kind = Cell::Kind::kQueue;
  made.is_private = is_private;
  made.offset = static_cast<std::uint32_t>(static_cast<const std::byte*>(word) - arena_);
  made.process = is_private ? pid() : 0;
  return add_cell(made);
}

std::uint64_t LoneWorker::load(const void* cell, unsigned size, std::memory_order order,
                               Site site) {
  Request& request = new_request(Ask::kLoad, site);
  request.size = static_cast<std::uint8_t>(size);
  request.location = word(cell, size);
  request.order = order;
  return ask();
}

void LoneWorker::store(void* cell, unsigned size, std::uint64_t value, std::memory_order order,
                       Site site) {
  Request& request = new_request(Ask::kStore, site);
  request.size = static_cast<std::uint8_t>(size);
  request.location = word(cell, size);
  request.order = order;
  request.operand = value;
  ask();
}

std::uint64_t LoneWorker::read_modify_write(void* cell, Update update, std::uint64_t operand,
                                            std::memory_order order, Site site) {
  Request& request = new_request(Ask::kUpdate, site);
  request.operation = update.operation;
  request.size = update.size;
  request.location = word(cell, update.size);
  request.order = order;
  request.operand = operand;
  return ask();
}

bool LoneWorker::compare_exchange(void* cell, CompareExchange how, std::uint64_t& expected,
                                  std::uint64_t desired, Site site) {
  if (how.weak && fails_for_no_reason(cell, how, expected, site)) return false;
  Request& request = new_request(Ask::kCompare, site);
  request.size = static_cast<std::uint8_t>(how.size);
  request.location = word(cell, how.size);
  request.expected = expected;
  request.order = how.success;
  request.failure = how.failure;
  request.operand = desired;
  const std::uint64_t seen = ask();
  if (seen == expected) return true;
  expected = seen;
  return false;
}

/// A weak compare-exchange may fail although the value is the expected one; with another it would
/// fail anyway.
bool LoneWorker::fails_for_no_reason(void* cell, CompareExchange how, std::uint64_t expected,
                                     Site site) {
  Request& request = new_request(Ask::kChoice, site);
  request.size = static_cast<std::uint8_t>(how.size);
  request.location = word(cell, how.size);
  request.expected = expected;
  request.operand = 2;
  request.weak = true;
  request.own_step = false;
  if (ask() == 0) return false;
  request.ask = Ask::kLoad;
  request.own_step = true;
  request.order = how.failure;
  if (ask() == expected) return true;
  request.ask = Ask::kAwait;
  ask();
  return true;
}

void LoneWorker::fence(std::memory_order order, Site site) {
  new_request(Ask::kFence, site).order = order;
  ask();
}

WaitResult LoneWorker::futex_wait(void* futex, std::uint32_t expected, std::int64_t deadline_ns,
                                  bool is_private, Site site) {
  constexpr std::int64_t kSlackNs = 1'000'000;  // As the judge: rounding up to a tick.
  if (deadline_ns != kNever &&
      (deadline_ns < deadline_ns_ || deadline_ns > deadline_ns_ + kSlackNs)) {
    refuse("it sleeps until another time than its caller's deadline");
  }
  Request& request = new_request(Ask::kWait, site);
  request.size = 4;
  request.location = futex_word(futex);
  request.queue = queue(futex, is_private);
  request.may_time_out = deadline_ns != kNever;
  request.order = std::memory_order_relaxed;
  request.expected = expected;
  const auto result = static_cast<WaitResult>(ask());
  if (result == WaitResult::kTimedOut) now_ns_ = std::max(now_ns_, deadline_ns);
  return result;
}

int LoneWorker::futex_wake(void* futex, int n, bool is_private, Site site) {
  Request& request = new_request(Ask::kWake, site);
  request.size = 4;
  request.location = futex_word(futex);
  request.queue = queue(futex, is_private);
  request.operand = n < 0 ? 0 : static_cast<std::uint64_t>(n);
  return static_cast<int>(ask());
}

void LoneWorker::need_a_name() {
  if (!nameless_) return;
  tells_itself_apart_ = true;
  refuse(kHasNoName);
}

std::uint32_t LoneWorker::self() {
  need_a_name();
  return id_of(worker_);
}

std::uint32_t LoneWorker::pid() {
  if (topology_ == Topology::kThreads) return 1000;
  need_a_name();
  return 1000 + id_of(worker_);
}

std::uint32_t LoneWorker::thread() {
  if (topology_ != Topology::kThreads) return 0;
  need_a_name();
  return id_of(worker_);
}

bool LoneWorker::alive(std::uint32_t id, Site) { return id >= 1 && id <= program_.workers.size(); }

/// The clock: each worker sees its deadline come when the search wants it to.
std::int64_t LoneWorker::now_ns() {
  if (deadline_ns_ == kNever) refuse("it looks at the clock outside a timed call");
  if (now_ns_ >= deadline_ns_) return now_ns_;
  Request& request = new_request(Ask::kChoice, Site{});
  request.operand = 2;
  request.own_step = false;
  if (ask() != 0) now_ns_ = deadline_ns_;
  return now_ns_;
}

void LoneWorker::plain(unsigned lock, unsigned, bool write, Site site) {
  touch(write ? Ask::kPlainWrite : Ask::kPlainRead, lock, false, site);
}

void LoneWorker::touch(Ask ask, unsigned lock, bool own_step, Site site) {
  Cell made{};
  made.kind = Cell::Kind::kData;
  made.offset = lock;
  Request& request = new_request(ask, site);
  request.location = add_cell(made);
  request.own_step = own_step;
  this->ask();
}

void LoneWorker::begins(int, const Step& step, std::int64_t deadline_ns) {
  deadline_ns_ = step.verb == Verb::kTimed ? deadline_ns : kNever;
  marks_.push_back({.begins = true, .early = false, .step = step, .outcome = Outcome::kAcquired});
}

void LoneWorker::ends(int, const Step& step, Outcome outcome) {
  const bool early = outcome == Outcome::kTimedOut && now_ns_ < deadline_ns_;
  deadline_ns_ = kNever;
  marks_.push_back({.begins = false, .early = early, .step = step, .outcome = outcome});
}

/// Nothing between the two accesses of Execution::work() orders them against others', so the second
/// stands for both.
void LoneWorker::work(int, unsigned lock, Mode mode) {
  if (lock_.claims.semaphore && lock_.claims.permits > 1) {
    new_request(Ask::kChoice, Site{}).operand = 1;
    ask();
    return;
  }
  touch(mode == Mode::kExclusive ? Ask::kPlainWrite : Ask::kPlainRead, lock, true, Site::current());
}

}  // namespace hobbs::explore::graph
