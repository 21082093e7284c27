// What the operations of the memory models do: definitions of memory.h for execution.cc alone.
#pragma once

#include <cstring>
#include <type_traits>

#include "harness/explore/memory.h"

namespace hobbs::explore {

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
  blocks_ = kLeastBlocks;
  refusal_ = "";
}

template <MemoryModel kModel>
void Memory<kModel>::exclude(std::size_t offset, std::size_t bytes) {
  std::fill_n(word_at_.begin() + static_cast<std::ptrdiff_t>(offset), bytes, Place{0, kExcluded});
}

template <MemoryModel kModel>
void Memory<kModel>::begin(int workers) {
  ++epoch_;
  next_message_ = messages_.get();
  block_start_ = kNoBlock;
  if constexpr (kHistory) clear(sc_, blocks());
  n_workers_ = 0;
  while (n_workers_ < workers) add_worker();
}

template <MemoryModel kModel>
inline void Memory<kModel>::add_worker() {
  const int w = n_workers_++;
  Known& known = workers_[w];
  for_each_block<kLanes>(blocks(), [&](int i) {
    block_of(known.now, i) = block_of(known.pending, i) = block_of(known.published, i) =
        LaneBlock{};
  });
  clocks_of(known.now) = -kOnly[w];
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
      const auto forget = [this](Knowledge& view) { block_of(view, blocks_) = LaneBlock{}; };
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

/// Calls `act` with a constant: most words have four bytes.
template <class Act>
[[gnu::always_inline]] inline void for_size(unsigned bytes, Act&& act) {
  if (bytes == 4) [[likely]]
    return act(std::integral_constant<std::size_t, 4>());
  if (bytes == 8) return act(std::integral_constant<std::size_t, 8>());
  if (bytes == 1) return act(std::integral_constant<std::size_t, 1>());
  act(std::integral_constant<std::size_t, 2>());
}

template <MemoryModel kModel>
inline std::uint64_t Memory<kModel>::read_bytes(const Location& l) const {
  // A little-endian machine: the low bytes of a 64-bit value come first.
  std::uint64_t value = 0;
  for_size(l.bytes, [&](auto bytes) { std::memcpy(&value, arena_ + l.offset, bytes); });
  return value;
}

template <MemoryModel kModel>
inline void Memory<kModel>::write_bytes(const Location& l, std::uint64_t value) {
  for_size(l.bytes, [&](auto bytes) { std::memcpy(arena_ + l.offset, &value, bytes); });
}

template <MemoryModel kModel>
void Memory<kModel>::refresh(Location& l) {
  l.epoch = epoch_;
  l.value = read_bytes(l);
  Message& first = new_message(l.value);
  first.attached = false;
  clear(first.view, blocks());
  l.count = 1;
  if constexpr (kHistory) l.history[0] = &first;
  l.message = &first;
}

template <MemoryModel kModel>
inline typename Memory<kModel>::Message& Memory<kModel>::new_message(std::uint64_t value) {
  Message& m = *next_message_++;
  m.value = value;
  return m;
}

/// What a message by this worker tells its readers.
template <MemoryModel kModel>
inline void Memory<kModel>::publish(int worker, Message& message, std::memory_order order) {
  copy(message.view, told(workers_[worker], order), blocks());
  if (releases(order)) tick(worker);
}

template <MemoryModel kModel>
inline void Memory<kModel>::learn(int worker, const Message& message, std::memory_order order) {
  join(learnt(workers_[worker], order), message.view, blocks());
}

/// Both at once, for an update: it continues the release sequence of what it read. (The two may be
/// one message.)
template <MemoryModel kModel>
inline void Memory<kModel>::learn_and_publish(int worker, const Message& read, Message& written,
                                              std::memory_order order) {
  Knowledge& learns = learnt(workers_[worker], order);
  const Knowledge& tells = told(workers_[worker], order);
  for_each_block<kLanes>(blocks(), [&](int i) {
    const LaneBlock seen = block_of(read.view, i);
    block_of(learns, i) = maximum(block_of(learns, i), seen);
    block_of(written.view, i) = maximum(block_of(tells, i), seen);
  });
  if (releases(order)) tick(worker);
}

template <MemoryModel kModel>
inline std::uint64_t Memory<kModel>::peek(int worker, int word, int back) {
  Location& l = locations_[word];
  if (back != 0) return l.history[l.count - 1 - back]->value;
  if constexpr (kBuffers) {
    const Buffer& buffer = buffers_[worker];
    for (int i = buffer.end; i-- > buffer.begin;) {
      if (buffer.word[i % kBufferSlots] == word) return buffer.message[i % kBufferSlots].value;
    }
  }
  return l.value;
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
  return load_newest(worker, word, order);
}

template <MemoryModel kModel>
[[gnu::always_inline]] inline std::uint64_t Memory<kModel>::load_newest(int worker, int word,
                                                                        std::memory_order order) {
  Location& l = locations_[word];
  learn(worker, *l.message, order);
  if constexpr (kHistory) {
    raise(worker, word, l.count - 1);
    if (order == std::memory_order_seq_cst)
      sc_.lane[lane_of(word)] = static_cast<Lane>(l.count - 1);
  }
  return l.value;
}

template <MemoryModel kModel>
inline int Memory<kModel>::places(int worker, int word, std::memory_order order) {
  if constexpr (!kHistory) return 1;
  if (order == std::memory_order_seq_cst || block_start_ != kNoBlock) return 1;
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
  copy(l.message->view, message.view, blocks());
  return set_newest(l, message.value);
}

/// A store or an update that comes last in the modification order, outside a block; `read`: what
/// the update has read, the newest so far.
template <MemoryModel kModel>
[[gnu::always_inline]] inline bool Memory<kModel>::append(int worker, int word, std::uint64_t value,
                                                          std::memory_order order,
                                                          const Message* read) {
  Location& l = locations_[word];
  const int at = l.count;
  Message& m = new_message(value);
  l.history[at] = l.message = &m;
  l.count = at + 1;
  set_view(worker, word, m, order, read, at);
  return set_newest(l, value);
}

template <MemoryModel kModel>
[[gnu::always_inline]] inline void Memory<kModel>::set_view(int worker, int word, Message& m,
                                                            std::memory_order order,
                                                            const Message* read, int at) {
  m.attached = read != nullptr;
  if (read != nullptr) {
    learn_and_publish(worker, *read, m, order);
  } else {
    publish(worker, m, order);
  }
  raise(worker, word, at);
  m.view.lane[lane_of(word)] = static_cast<Lane>(at);
  if (order == std::memory_order_seq_cst) sc_.lane[lane_of(word)] = static_cast<Lane>(at);
}

/// The same before the `back` newest values.
template <MemoryModel kModel>
[[gnu::noinline]] void Memory<kModel>::squeeze_in(int worker, int word, std::uint64_t value,
                                                  std::memory_order order, const Message* read,
                                                  int back) {
  Location& l = locations_[word];
  const int at = l.count - back;
  Message& message = new_message(value);
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
    shift(known.published);
  }
  shift(sc_);
  for (Message* m = messages_.get(); m != &message; ++m) shift(m->view);
  set_view(worker, word, message, order, read, at);
}

/// A store or an update inside a block: only the last value is kept.
template <MemoryModel kModel>
[[gnu::noinline]] bool Memory<kModel>::overwrite(int worker, int word, std::uint64_t value,
                                                 std::memory_order order, bool reads) {
  Location& l = locations_[word];
  Message& newest = *l.message;
  if (reads) learn(worker, newest, order);
  newest.value = value;
  publish(worker, newest, order);
  return set_newest(l, value);
}

template <MemoryModel kModel>
bool Memory<kModel>::store(int worker, int word, std::uint64_t value, std::memory_order order,
                           int back) {
  Location& l = locations_[word];
  if constexpr (kHistory) {
    if (in_block(*l.message)) return overwrite(worker, word, value, order, false);
    if (back != 0) {
      squeeze_in(worker, word, value, order, nullptr, back);
      return false;
    }
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
  return store_newest(worker, word, value, order);
}

template <MemoryModel kModel>
[[gnu::always_inline]] inline bool Memory<kModel>::store_newest(int worker, int word,
                                                                std::uint64_t value,
                                                                std::memory_order order) {
  Location& l = locations_[word];
  if constexpr (kHistory) {
    return append(worker, word, value, order, nullptr);
  }
  publish(worker, *l.message, order);
  return set_newest(l, value);
}

template <MemoryModel kModel>
bool Memory<kModel>::can_update(int worker, int word, std::memory_order order, int back) {
  if (back == 0) return true;
  if constexpr (!kHistory) return false;
  if (order == std::memory_order_seq_cst || block_start_ != kNoBlock) return false;
  const Location& l = locations_[word];
  return back < l.count - bound(worker, word, order) && !l.history[l.count - back]->attached;
}

template <MemoryModel kModel>
bool Memory<kModel>::update(int worker, int word, std::uint64_t value, std::memory_order order,
                            int back) {
  if constexpr (kHistory) {
    const Location& l = locations_[word];
    if (in_block(*l.message)) return overwrite(worker, word, value, order, true);
    if (back != 0) {
      squeeze_in(worker, word, value, order, l.history[l.count - 1 - back], back);
      return false;
    }
  }
  return update_newest(worker, word, value, order);
}

template <MemoryModel kModel>
[[gnu::always_inline]] inline bool Memory<kModel>::update_newest(int worker, int word,
                                                                 std::uint64_t value,
                                                                 std::memory_order order) {
  Location& l = locations_[word];
  if constexpr (kHistory) {
    return append(worker, word, value, order, l.message);
  }
  learn_and_publish(worker, *l.message, *l.message, order);
  return set_newest(l, value);
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
        block_of(known.now, b) = block_of(sc_, b) =
            maximum(block_of(known.now, b), block_of(sc_, b));
      }
    }
  }
  if (releases(order)) {
    copy(known.published, known.now, blocks());
    tick(worker);
  }
}

}  // namespace hobbs::explore
