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

  /// A new execution begins: what the bytes hold now is what everybody knows.
  void begin(int workers);
  /// One more worker, who knows nothing else yet.
  void add_worker();

  /// The word at this address, or -1: see refusal().
  int locate(const void* cell, unsigned size) {
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(cell) - arena_);
    if (offset < arena_bytes_ && word_at_[offset].bytes == size) [[likely]] {
      return word_at_[offset].word;
    }
    return add_location(offset, size);
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
  /// In how many places of the modification order this store may go: choice 0 is the end.
  int places(int worker, int word, std::memory_order order);
  /// True if the newest value of the word is another one now.
  bool store(int worker, int word, std::uint64_t value, std::memory_order order, int back);
  /// Reads what a read with choice `back` takes and writes directly behind it: see can_update().
  bool update(int worker, int word, std::uint64_t value, std::memory_order order, int back);
  /// Whether an update could follow the value that a read with choice `back` takes.
  bool can_update(int worker, int word, std::memory_order order, int back);
  void fence(int worker, std::memory_order order);

  /// TSO: whether the worker has stores under way, and the oldest one's way to memory. The word
  /// that drained, or -1 if its value was there already.
  bool buffered(int worker) const { return buffers_[worker].begin != buffers_[worker].end; }
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
  void end_block() { block_start_ = nullptr; }

  /// Messages or ticks are about to run out.
  bool exhausted() const { return next_message_ > &messages_[kMaxMessages - 64] || tick_limit_; }

 private:
  static constexpr int kBufferSlots = 64;
  static constexpr std::uint8_t kInside = 0xff;

  struct Message {
    std::uint64_t value;
    bool attached;   // A read-modify-write: nothing may come between it and what it read.
    Knowledge view;  // What reading it teaches; zero if nothing.
  };
  struct Location {
    std::uint32_t epoch = 0;  // The execution that touched it last.
    std::uint32_t offset = 0;
    std::uint8_t bytes = 0;
    int count = 0;                // Of its history.
    Message** history = nullptr;  // In modification order (C++ model).
    Message* message = nullptr;   // The only one (other models).
  };
  struct Known {
    Knowledge now;        // What happened before this worker's next operation.
    Knowledge pending;    // What an acquire fence would add.
    Knowledge published;  // What the last release fence covers.
    bool has_published;
  };
  struct Buffer {
    int begin = 0, end = 0;
    std::array<int, kBufferSlots> word;
    std::array<Message, kBufferSlots> message;  // Not yet in memory.
  };

  static constexpr int lane_of(int word) { return kMaxFibres + word; }
  int bound(int worker, int word, std::memory_order order) const {
    Lane low = workers_[worker].now.lane[lane_of(word)];
    if (order == std::memory_order_seq_cst && sc_.lane[lane_of(word)] > low) {
      low = sc_.lane[lane_of(word)];
    }
    return low;
  }
  /// Single lanes are written after whole blocks were read: the other way round the processor would
  /// have to wait until the write has reached the cache.
  void raise(int worker, int word, int index) {
    Lane& known = workers_[worker].now.lane[lane_of(word)];
    known = known < index ? static_cast<Lane>(index) : known;
  }
  void refresh(Location& l);
  Message& new_message(std::uint64_t value);
  void publish(int worker, Message& message, std::memory_order order);
  void learn(int worker, const Message& message, std::memory_order order);
  /// A whole block again, for the same reason.
  void tick(int worker) {
    Knowledge& now = workers_[worker].now;
    clocks_of(now) -= kOnly[worker];
    if (now.lane[worker] > kMaxLane - 64) [[unlikely]]
      tick_limit_ = true;
  }
  int blocks() const { return kHistory ? blocks_ : 1; }
  void insert(Location& l, int word, int at, Message& message) {
    if (at == l.count) [[likely]] {
      l.history[l.count++] = &message;
    } else {
      squeeze_in(l, word, at, message);
    }
  }
  void squeeze_in(Location& l, int word, int at, Message& message);
  std::uint64_t read_bytes(const Location& l) const;
  void write_bytes(const Location& l, std::uint64_t value);
  bool put(int word, const Message& message);
  bool in_block(const Message& message) const {
    return block_start_ != nullptr && &message >= block_start_;
  }
  int add_location(std::size_t offset, unsigned size);

  std::byte* arena_ = nullptr;
  std::size_t arena_bytes_ = 0;
  struct Place {
    std::uint8_t word = 0;
    std::uint8_t bytes = 0;  // 0: no word is known there; kInside: not the first byte of one.
  };
  std::vector<Place> word_at_;  // By byte.
  std::array<Location, kMaxLocations> locations_;
  int words_ = 0;
  int blocks_ = 1;  // Lane blocks in use.
  int n_workers_ = 0;
  std::uint32_t epoch_ = 0;
  std::array<Known, kMaxFibres> workers_;
  Knowledge sc_;
  std::array<Buffer, kMaxFibres> buffers_;
  std::unique_ptr<Message[]> messages_;
  std::unique_ptr<Message*[]> histories_;
  Message* next_message_ = nullptr;
  const Message* block_start_ = nullptr;
  bool tick_limit_ = false;
  const char* refusal_ = "";
};

template <MemoryModel kModel>
Memory<kModel>::Memory()
    : messages_(new Message[kMaxMessages]),
      histories_(kHistory ? new Message*[std::size_t{kMaxLocations} * kMaxMessages] : nullptr) {}

template <MemoryModel kModel>
void Memory<kModel>::attach(std::byte* arena, std::size_t bytes) {
  arena_ = arena;
  arena_bytes_ = bytes;
  word_at_.assign(bytes, {});
  words_ = 0;
  blocks_ = 1;
}

template <MemoryModel kModel>
void Memory<kModel>::begin(int workers) {
  ++epoch_;
  next_message_ = messages_.get();
  block_start_ = nullptr;
  tick_limit_ = false;
  if constexpr (kHistory) clear(sc_, blocks());
  n_workers_ = 0;
  while (n_workers_ < workers) add_worker();
}

template <MemoryModel kModel>
void Memory<kModel>::add_worker() {
  const int w = n_workers_++;
  Known& known = workers_[w];
  clear(known.now, blocks());
  clocks_of(known.now) -= kOnly[w];
  clear(known.pending, blocks());
  known.has_published = false;
  if constexpr (kBuffers) buffers_[w].begin = buffers_[w].end = 0;
}

template <MemoryModel kModel>
int Memory<kModel>::locate_futex(const void* cell) {
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(cell) - arena_);
  return locate(cell, offset < arena_bytes_ && word_at_[offset].bytes == 8 ? 8 : 4);
}

template <MemoryModel kModel>
int Memory<kModel>::add_location(std::size_t offset, unsigned size) {
  if (offset >= arena_bytes_) {
    refusal_ = "it uses an atomic outside its own memory";
    return -1;
  }
  for (unsigned i = 0; i < size; ++i) {
    if (offset + i >= arena_bytes_ || word_at_[offset + i].bytes != 0) {
      refusal_ = "it accesses the same bytes in different sizes";
      return -1;
    }
  }
  if (words_ == kMaxLocations) {
    refusal_ = "it uses more than 120 atomic words";
    return -1;
  }
  const int word = words_++;
  word_at_[offset] = {static_cast<std::uint8_t>(word), static_cast<std::uint8_t>(size)};
  for (unsigned i = 1; i < size; ++i) word_at_[offset + i] = {0, kInside};
  Location& l = locations_[word];
  l = {};
  l.offset = static_cast<std::uint32_t>(offset);
  l.bytes = static_cast<std::uint8_t>(size);
  if constexpr (kHistory) {
    l.history = &histories_[static_cast<std::size_t>(word) * kMaxMessages];
    if (lane_of(word) >= blocks_ * kLanesPerBlock) {  // Views grow: nothing is known of new lanes.
      const auto forget = [this](Knowledge& view) {
        reinterpret_cast<LaneBlock*>(view.lane)[blocks_] = LaneBlock{};
      };
      for (Known& known : workers_) {
        forget(known.now);
        forget(known.pending);
        forget(known.published);
      }
      forget(sc_);
      for (Message* m = messages_.get(); m != next_message_; ++m) forget(m->view);
      ++blocks_;
    }
  }
  return word;
}

template <MemoryModel kModel>
inline std::uint64_t Memory<kModel>::read_bytes(const Location& l) const {
  const std::byte* const at = arena_ + l.offset;
  switch (l.bytes) {
    case 1: return std::to_integer<std::uint64_t>(*at);
    case 2: {
      std::uint16_t v;
      std::memcpy(&v, at, 2);
      return v;
    }
    case 4: {
      std::uint32_t v;
      std::memcpy(&v, at, 4);
      return v;
    }
    default: {
      std::uint64_t v;
      std::memcpy(&v, at, 8);
      return v;
    }
  }
}

template <MemoryModel kModel>
inline void Memory<kModel>::write_bytes(const Location& l, std::uint64_t value) {
  std::byte* const at = arena_ + l.offset;
  switch (l.bytes) {
    case 1: std::memcpy(at, &value, 1); break;
    case 2: std::memcpy(at, &value, 2); break;
    case 4: std::memcpy(at, &value, 4); break;
    default: std::memcpy(at, &value, 8); break;
  }
}

template <MemoryModel kModel>
void Memory<kModel>::refresh(Location& l) {
  l.epoch = epoch_;
  Message& first = new_message(read_bytes(l));
  clear(first.view, blocks());
  l.count = 1;
  if constexpr (kHistory) l.history[0] = &first;
  l.message = &first;
}

template <MemoryModel kModel>
inline typename Memory<kModel>::Message& Memory<kModel>::new_message(std::uint64_t value) {
  Message& m = *next_message_++;
  m.value = value;
  m.attached = false;
  return m;
}

/// What a message by this worker tells its readers.
template <MemoryModel kModel>
inline void Memory<kModel>::publish(int worker, Message& message, std::memory_order order) {
  Known& known = workers_[worker];
  if (releases(order)) {
    copy(message.view, known.now, blocks());
    tick(worker);
  } else if (known.has_published) {
    copy(message.view, known.published, blocks());
  } else {
    clear(message.view, blocks());
  }
}

template <MemoryModel kModel>
inline void Memory<kModel>::learn(int worker, const Message& message, std::memory_order order) {
  Known& known = workers_[worker];
  join(acquires(order) ? known.now : known.pending, message.view, blocks());
}

template <MemoryModel kModel>
inline std::uint64_t Memory<kModel>::peek(int worker, int word, int back) {
  Location& l = locations_[word];
  if constexpr (kHistory) return l.history[l.count - 1 - back]->value;
  if constexpr (kBuffers) {
    const Buffer& buffer = buffers_[worker];
    for (int i = buffer.end; i-- > buffer.begin;) {
      if (buffer.word[i % kBufferSlots] == word) return buffer.message[i % kBufferSlots].value;
    }
  }
  return l.message->value;
}

template <MemoryModel kModel>
inline std::uint64_t Memory<kModel>::load(int worker, int word, std::memory_order order, int back) {
  Location& l = locations_[word];
  if constexpr (kHistory) {
    const int index = l.count - 1 - back;
    const Message& m = *l.history[index];
    learn(worker, m, order);
    raise(worker, word, index);
    Lane& last = sc_.lane[lane_of(word)];
    if (order == std::memory_order_seq_cst && last < index) last = static_cast<Lane>(index);
    return m.value;
  }
  if constexpr (kBuffers) {
    const Buffer& buffer = buffers_[worker];
    for (int i = buffer.end; i-- > buffer.begin;) {
      if (buffer.word[i % kBufferSlots] == word) {  // Its own store: it learns nothing new.
        return buffer.message[i % kBufferSlots].value;
      }
    }
  }
  const Message& m = *l.message;
  learn(worker, m, order);
  return m.value;
}

template <MemoryModel kModel>
inline int Memory<kModel>::places(int worker, int word, std::memory_order order) {
  if constexpr (!kHistory) return 1;
  if (order == std::memory_order_seq_cst || block_start_ != nullptr) return 1;
  const Location& l = locations_[word];
  const int low = bound(worker, word, order);
  int n = 1;
  while (n < l.count - low && !l.history[l.count - n]->attached) ++n;
  return n;
}

/// Makes `message` the value of the word in memory (models without a history).
template <MemoryModel kModel>
bool Memory<kModel>::put(int word, const Message& message) {
  Location& l = locations_[word];
  Message& m = *l.message;
  const bool changed = m.value != message.value;
  m.value = message.value;
  copy(m.view, message.view, blocks());
  write_bytes(l, m.value);
  return changed;
}

template <MemoryModel kModel>
void Memory<kModel>::squeeze_in(Location& l, int word, int at, Message& message) {
  for (int i = l.count; i > at; --i) l.history[i] = l.history[i - 1];
  l.history[at] = &message;
  ++l.count;
  // Whoever knew of a later value now knows of one with a larger index.
  const int lane = lane_of(word);
  const auto shift = [lane, at](Knowledge& view) {
    if (view.lane[lane] >= at) ++view.lane[lane];
  };
  for (int w = 0; w < n_workers_; ++w) {
    Known& known = workers_[w];
    shift(known.now);
    shift(known.pending);
    if (known.has_published) shift(known.published);
  }
  shift(sc_);
  for (Message* m = messages_.get(); m != next_message_; ++m) shift(m->view);
}

template <MemoryModel kModel>
inline bool Memory<kModel>::store(int worker, int word, std::uint64_t value,
                                  std::memory_order order, int back) {
  Location& l = locations_[word];
  if constexpr (kHistory) {
    Message& newest = *l.history[l.count - 1];
    const bool changed = back == 0 && newest.value != value;
    if (in_block(newest)) [[unlikely]] {  // Only the last value is kept.
      newest.value = value;
      publish(worker, newest, order);
      write_bytes(l, value);
      return changed;
    }
    const int at = l.count - back;
    Message& m = new_message(value);
    insert(l, word, at, m);
    publish(worker, m, order);
    raise(worker, word, at);
    m.view.lane[lane_of(word)] = static_cast<Lane>(at);
    if (order == std::memory_order_seq_cst) sc_.lane[lane_of(word)] = static_cast<Lane>(at);
    if (back == 0) write_bytes(l, value);
    return changed;
  }
  if constexpr (kBuffers) {
    if (order != std::memory_order_seq_cst) {
      Buffer& buffer = buffers_[worker];
      Message& m = buffer.message[buffer.end % kBufferSlots];
      buffer.word[buffer.end % kBufferSlots] = word;
      ++buffer.end;
      m.value = value;
      publish(worker, m, order);
      return false;
    }
  }
  Message& m = *l.message;
  const bool changed = m.value != value;
  m.value = value;
  publish(worker, m, order);
  write_bytes(l, value);
  return changed;
}

template <MemoryModel kModel>
bool Memory<kModel>::can_update(int worker, int word, std::memory_order order, int back) {
  if (back == 0) return true;
  if constexpr (!kHistory) return false;
  if (order == std::memory_order_seq_cst || block_start_ != nullptr) return false;
  const Location& l = locations_[word];
  return back < l.count - bound(worker, word, order) && !l.history[l.count - back]->attached;
}

template <MemoryModel kModel>
inline bool Memory<kModel>::update(int worker, int word, std::uint64_t value,
                                   std::memory_order order, int back) {
  Location& l = locations_[word];
  Message& read = kHistory ? *l.history[l.count - 1 - back] : *l.message;
  learn(worker, read, order);
  if constexpr (kHistory) {
    const bool changed = back == 0 && read.value != value;
    if (in_block(read)) [[unlikely]] {
      read.value = value;
      publish(worker, read, order);
      write_bytes(l, value);
      return changed;
    }
    const int at = l.count - back;
    Message& m = new_message(value);
    insert(l, word, at, m);
    m.attached = true;
    publish(worker, m, order);
    join(m.view, read.view, blocks());  // It continues the release sequence of what it read.
    raise(worker, word, at);
    m.view.lane[lane_of(word)] = static_cast<Lane>(at);
    if (order == std::memory_order_seq_cst) sc_.lane[lane_of(word)] = static_cast<Lane>(at);
    if (back == 0) write_bytes(l, value);
    return changed;
  }
  const bool changed = read.value != value;
  const Knowledge sequence = read.view;
  read.value = value;
  publish(worker, read, order);
  join(read.view, sequence, blocks());
  write_bytes(l, value);
  return changed;
}

template <MemoryModel kModel>
int Memory<kModel>::drain(int worker) {
  Buffer& buffer = buffers_[worker];
  const int slot = buffer.begin++ % kBufferSlots;
  return put(buffer.word[slot], buffer.message[slot]) ? buffer.word[slot] : -1;
}

template <MemoryModel kModel>
void Memory<kModel>::fence(int worker, std::memory_order order) {
  Known& known = workers_[worker];
  if (acquires(order)) {
    join(known.now, known.pending, blocks());
    clear(known.pending, blocks());
  }
  if constexpr (kHistory) {
    if (order == std::memory_order_seq_cst) {
      // Only what reads may see is ordered by the fences' total order: clocks are not, since two
      // fences alone do not synchronise.
      for (int b = 1; b < blocks_; ++b) {
        LaneBlock& mine = reinterpret_cast<LaneBlock*>(known.now.lane)[b];
        LaneBlock& all = reinterpret_cast<LaneBlock*>(sc_.lane)[b];
        mine = all = mine > all ? mine : all;
      }
    }
  }
  if (releases(order)) {
    copy(known.published, known.now, blocks());
    known.has_published = true;
    tick(worker);
  }
}

}  // namespace hobbs::explore
