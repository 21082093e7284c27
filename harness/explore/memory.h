// Memory models: which value a read may take, and who knows of whom.
//
// One class template with three models. All three keep happens-before as C++20 defines it (release
// and acquire, release sequences, fences), so that data races are found under any of them; they
// differ in what a read may see:
//   sc   the newest value, always.
//   tso  x86: a store waits in its worker's buffer until it drains, oldest first; its own worker
//        reads it from there; read-modify-writes, seq_cst stores and seq_cst fences drain first.
//   c11  C++20 without load buffering and out-of-thin-air: each word has its modification order;
//        a read may take any value that its worker does not know to be overwritten, and a store may
//        be placed before newer ones that its worker does not know of. seq_cst: one view that
//        seq_cst fences join both ways, and that seq_cst accesses respect and raise, loads by what
//        they have read, whoever wrote it ([atomics.order]/4). Edges only point forward in time,
//        so a read never sees a store that comes later (load buffering is not modelled).
// Nothing here decides: callers choose among `choices()`.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "harness/explore/machine.h"
#include "harness/explore/orders.h"
#include "harness/explore/view.h"

namespace hobbs::explore {

enum class MemoryModel : std::uint8_t { kSc, kTso, kC11 };

/// Stores of one execution at most; a longer execution is stopped before.
inline constexpr int kMaxMessages = 1 << 14;
/// Of these, for what words hold before the first store (again after each destruction).
inline constexpr int kSpareMessages = 2 * kMaxLocations;

template <MemoryModel kModel>
class Memory {
 public:
  static constexpr bool kHistory = kModel == MemoryModel::kC11;
  static constexpr bool kBuffers = kModel == MemoryModel::kTso;
  static constexpr int kLanes = kHistory ? kMaxFibres + kMaxLocations : kMaxFibres;
  using Knowledge = View<kLanes>;
  /// One instant of each worker.
  using Instants = View<kMaxFibres>;
  static_assert(kMaxFibres == kLanesPerBlock);

  Memory();

  /// From now on words are looked for in these bytes; forgets all words.
  void attach(std::byte* arena, std::size_t bytes);
  /// None is to be in these, which are no lock's.
  void exclude(std::size_t offset, std::size_t bytes);
  bool is_excluded(const void* cell) const {
    const std::size_t offset = offset_of(cell);
    return offset < arena_bytes_ && word_at_[offset].bytes == kExcluded;
  }

  /// A new execution begins: what the bytes hold now is what everybody knows.
  void begin(int workers);
  /// One more worker, who knows nothing else yet.
  void add_worker();

  /// The word at this address, or -1: see refusal().
  int locate(const void* cell, unsigned size) {
    const int word = known(cell, size);
    return word >= 0 ? word : add_location(offset_of(cell), size);
  }
  /// The same, but only if it has been located before.
  int known(const void* cell, unsigned size) const {
    const std::size_t offset = offset_of(cell);
    const bool is = offset < arena_bytes_ && word_at_[offset].bytes == size;
    return is ? word_at_[offset].word : -1;
  }
  /// The word that a futex call means: of 32 bits, or the low half of one of 64.
  int locate_futex(const void* cell);
  const char* refusal() const { return refusal_; }

  /// Must come before everything else that an operation does with its word: the first to touch it
  /// in an execution finds what its bytes hold then.
  void touch(int word) {
    if (!is_touched(word)) refresh(locations_[word]);
  }
  bool is_touched(int word) const { return locations_[word].epoch == epoch_; }
  /// No word of these bytes has been touched from now on.
  void forget(const void* begin, std::size_t bytes) {
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(begin) - arena_);
    for (int word = 0; word < words_; ++word) {
      if (locations_[word].offset - offset < bytes) locations_[word].epoch = 0;
    }
  }

  /// How many values this worker's read could take, and how far back the last is: choice 0 is the
  /// newest. Always 1 but in the C++ model.
  int choices(int worker, int word, std::memory_order order) {
    if constexpr (!kHistory) return 1;
    return locations_[word].count - bound(worker, word, order);
  }
  /// The value that a read with this choice would take, without reading it.
  std::uint64_t peek(int worker, int word, int back);
  std::uint64_t load(int worker, int word, std::memory_order order, int back);
  /// The same with choice 0, where (TSO) the worker has nothing in its buffer.
  std::uint64_t load_newest(int worker, int word, std::memory_order order);
  /// In how many places of the modification order this store may go: choice 0 is the end.
  int places(int worker, int word, std::memory_order order);
  /// True if the newest value of the word is another one now.
  bool store(int worker, int word, std::uint64_t value, std::memory_order order, int back);
  /// Reads what a read with choice `back` takes and writes directly behind it: see can_update().
  bool update(int worker, int word, std::uint64_t value, std::memory_order order, int back);
  /// Both with choice 0, where there is no block and (TSO) nothing to be buffered.
  bool store_newest(int worker, int word, std::uint64_t value, std::memory_order order);
  bool update_newest(int worker, int word, std::uint64_t value, std::memory_order order);
  /// Whether an update could follow the value that a read with choice `back` takes.
  bool can_update(int worker, int word, std::memory_order order, int back);
  void fence(int worker, std::memory_order order);

  /// TSO: whether the worker has stores under way, and the oldest one's way to memory. The word
  /// that drained, or -1 if its value was there already.
  bool buffered(int worker) const {
    return kBuffers && buffers_[worker].begin != buffers_[worker].end;
  }
  bool buffer_full(int worker) const {
    return buffers_[worker].end - buffers_[worker].begin == kBufferSlots;
  }
  int drain(int worker);

  /// The newest value in modification order (TSO: in memory).
  std::uint64_t newest(int word) const { return read_bytes(locations_[word]); }
  /// Which bytes of the arena a word is.
  std::size_t offset_of(int word) const { return locations_[word].offset; }
  unsigned size_of(int word) const { return locations_[word].bytes; }
  int words() const { return words_; }

  /// Worker `to` learns all that `from` knows: a fork, a join, a death that was noticed.
  void inform(int to, int from) { join(workers_[to].now, workers_[from].now, blocks()); }
  /// The vector clock of plain accesses: the instant of its own life that `worker` is at, and no
  /// other's ...
  Instants instant(int worker) const {
    Instants own;
    clocks_of(own) = clocks_of(workers_[worker].now) & kOnly[worker];
    return own;
  }
  /// ... and whether it knows of that instant of another's.
  bool knows(int worker, int other, Lane instant) const {
    return workers_[worker].now.lane[other] >= instant;
  }
  /// Whether `worker` knows of all these instants (0: none). Its own it always knows.
  bool knows_all(int worker, const Instants& instants) const {
    return is_zero(clocks_of(instants) > clocks_of(workers_[worker].now));
  }
  /// The first whose instant it does not know of.
  int first_unknown(int worker, const Instants& instants) const {
    int other = 0;
    while (knows(worker, other, instants.lane[other])) ++other;
    return other;
  }

  /// Between these, stores by one worker are one indivisible block: a word's intermediate values
  /// are not kept.
  void begin_block() { block_start_ = next_message_; }
  void end_block() { block_start_ = kNoBlock; }

  /// How many more stores there are messages for.
  std::ptrdiff_t room() const { return &messages_[kMaxMessages - kSpareMessages] - next_message_; }
  /// The latest instant of any worker's life: no operation adds more than one.
  int latest() const {
    int latest = 0;
    for (int w = 0; w < n_workers_; ++w) latest = std::max<int>(latest, workers_[w].now.lane[w]);
    return latest;
  }

 private:
  static constexpr int kBufferSlots = 64;
  static constexpr std::uint8_t kInside = 0xff, kExcluded = 0xfe;

  struct Message {
    std::uint64_t value;
    bool attached;   // A read-modify-write: nothing may come between it and what it read.
    Knowledge view;  // What reading it teaches; zero if nothing.
  };
  /// Behind all messages.
  static inline const Message* const kNoBlock = reinterpret_cast<const Message*>(UINTPTR_MAX);
  struct alignas(64) Location {
    std::uint32_t epoch = 0;  // The execution that touched it last.
    std::uint32_t offset = 0;
    std::uint8_t bytes = 0;
    int count = 0;                // Of its history.
    std::uint64_t value = 0;      // The newest, so that whoever branches on it has it soon;
    Message* message = nullptr;   // and what it came with (no other is kept but in the C++ model).
    Message** history = nullptr;  // In modification order (C++ model).
  };
  struct Known {
    Knowledge now;        // What happened before this worker's next operation.
    Knowledge pending;    // What an acquire fence would add.
    Knowledge published;  // What the last release fence covers; nothing if there was none.
  };
  struct Buffer {
    int begin = 0, end = 0;
    std::array<int, kBufferSlots> word;
    std::array<Message, kBufferSlots> message;  // Not yet in memory.
  };

  std::size_t offset_of(const void* cell) const {
    return static_cast<std::size_t>(static_cast<const std::byte*>(cell) - arena_);
  }
  static constexpr int lane_of(int word) { return kMaxFibres + word; }
  int bound(int worker, int word, std::memory_order order) const {
    Lane low = workers_[worker].now.lane[lane_of(word)];
    if (order == std::memory_order_seq_cst && sc_.lane[lane_of(word)] > low) {
      low = sc_.lane[lane_of(word)];
    }
    return low;
  }
  /// From now on the worker knows of the value at `index`, which is no older than what it knew.
  /// Single lanes are written after whole blocks were read: the other way round the processor would
  /// have to wait until the write has reached the cache.
  void raise(int worker, int word, int index) {
    workers_[worker].now.lane[lane_of(word)] = static_cast<Lane>(index);
  }
  void refresh(Location& l);
  Message& new_message(std::uint64_t value);
  void publish(int worker, Message& message, std::memory_order order);
  void learn(int worker, const Message& message, std::memory_order order);
  void learn_and_publish(int worker, const Message& read, Message& written,
                         std::memory_order order);
  /// Where a worker's reads of this order go, and what its writes tell.
  static Knowledge& learnt(Known& known, std::memory_order order) {
    return acquires(order) ? known.now : known.pending;
  }
  static const Knowledge& told(const Known& known, std::memory_order order) {
    return releases(order) ? known.now : known.published;
  }
  /// A whole block again, for the same reason.
  void tick(int worker) { clocks_of(workers_[worker].now) -= kOnly[worker]; }
  int blocks() const { return kHistory ? blocks_ : 1; }
  bool append(int worker, int word, std::uint64_t value, std::memory_order order,
              const Message* read);
  void squeeze_in(int worker, int word, std::uint64_t value, std::memory_order order,
                  const Message* read, int back);
  bool overwrite(int worker, int word, std::uint64_t value, std::memory_order order, bool reads);
  void set_view(int worker, int word, Message& m, std::memory_order order, const Message* read,
                int at);
  std::uint64_t read_bytes(const Location& l) const;
  void write_bytes(const Location& l, std::uint64_t value);
  bool put(int word, const Message& message);
  bool set_newest(Location& l, std::uint64_t value) {
    const bool changed = l.value != value;
    l.value = value;
    write_bytes(l, value);
    return changed;
  }
  bool in_block(const Message& message) const { return &message >= block_start_; }
  int add_location(std::size_t offset, unsigned size);

  std::byte* arena_ = nullptr;
  std::size_t arena_bytes_ = 0;
  struct Place {
    std::uint8_t word = 0;
    std::uint8_t bytes = 0;  // 0: no word is known; kInside: not the first of one; or kExcluded.
  };
  std::vector<Place> word_at_;  // By byte.
  std::array<Location, kMaxLocations> locations_;
  int words_ = 0;
  int blocks_ = kLeastBlocks;  // Lane blocks in use.
  int n_workers_ = 0;
  std::uint32_t epoch_ = 0;
  std::array<Known, kMaxFibres> workers_;
  Knowledge sc_;
  std::array<Buffer, kMaxFibres> buffers_;
  std::unique_ptr<Message[]> messages_;
  std::unique_ptr<Message*[]> histories_;
  Message* next_message_ = nullptr;
  const Message* block_start_ = kNoBlock;
  const char* refusal_ = "";
};

}  // namespace hobbs::explore
