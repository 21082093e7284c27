// Memory as one worker's processor sees it. Internal to world.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "harness/step/kernel.h"
#include "harness/step/world.h"

namespace hobbs::step {

class World::View : public Bus {
 public:
  View(const World& world, State& state, std::size_t w)
      : world_(world), state_(state), worker_(state.workers[w]), process_(world.processes_[w]) {}

  std::uint64_t read(std::uint64_t address, unsigned size) override {
    if (address - world_.shared_base_ < state_.shared_used) return read_shared(address, size);
    if (kStackTop - address - 1 < kStackBytes) {
      return load(worker_.stack + (kStackBytes - (kStackTop - address)), size);
    }
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      value |= static_cast<std::uint64_t>(read_private_byte(address + i)) << (8 * i);
    }
    return value;
  }

  void write(std::uint64_t address, unsigned size, std::uint64_t value) override {
    if (address - world_.shared_base_ < state_.shared_used) {
      write_shared(address, size, value);
    } else if (kStackTop - address - 1 < kStackBytes) {
      const std::uint64_t depth = kStackTop - address;
      worker_.stack_touched = std::max(worker_.stack_touched, depth);
      std::memcpy(worker_.stack + (kStackBytes - depth), &value, size);
    } else {
      write_private(address, size, value);
    }
  }

  void drain_one() {
    const BufferedStore& oldest = worker_.buffer[0];
    std::memcpy(state_.shared + (oldest.address - world_.shared_base_), &oldest.value, oldest.size);
    std::copy(worker_.buffer + 1, worker_.buffer + worker_.buffered, worker_.buffer);
    worker_.buffer[--worker_.buffered] = {};
  }

  bool overflowed() const { return overflowed_; }

 private:
  static std::uint64_t load(const std::uint8_t* from, unsigned size) {
    std::uint64_t value = 0;
    std::memcpy(&value, from, size);
    return value;
  }

  std::uint64_t read_shared(std::uint64_t address, unsigned size) const {
    std::uint8_t bytes[8];
    std::memcpy(bytes, state_.shared + (address - world_.shared_base_), size);
    // A processor sees its own buffered stores, byte by byte, the newest last.
    for (unsigned i = 0; i < worker_.buffered; ++i) {
      const BufferedStore& store = worker_.buffer[i];
      for (unsigned b = 0; b < size; ++b) {
        const std::uint64_t at = address + b - store.address;
        if (at < store.size) bytes[b] = static_cast<std::uint8_t>(store.value >> (8 * at));
      }
    }
    return load(bytes, size);
  }

  void write_shared(std::uint64_t address, unsigned size, std::uint64_t value) {
    if (world_.memory_ == Memory::kTotalStoreOrder) {
      if (worker_.buffered == kStoreBufferEntries) drain_one();
      worker_.buffer[worker_.buffered++] = {address, value, size};
    } else {
      std::memcpy(state_.shared + (address - world_.shared_base_), &value, size);
    }
  }

  std::uint8_t read_private_byte(std::uint64_t address) const {
    const std::uint64_t word = address & ~7ull;
    for (unsigned i = 0; i < worker_.private_count; ++i) {
      if (worker_.words[i].address == word) {
        return static_cast<std::uint8_t>(worker_.words[i].value >> (8 * (address - word)));
      }
    }
    return original_byte(address);
  }

  std::uint8_t original_byte(std::uint64_t address) const {
    const std::uint64_t at = address - world_.block_base_;
    if (at < process_.thread_block.size()) return process_.thread_block[at];
    return *reinterpret_cast<const std::uint8_t*>(address);
  }

  void write_private(std::uint64_t address, unsigned size, std::uint64_t value) {
    for (unsigned i = 0; i < size; ++i) {
      const std::uint64_t word = (address + i) & ~7ull;
      const unsigned shift = 8 * static_cast<unsigned>((address + i) - word);
      std::uint64_t& content = private_word(word);
      content = (content & ~(0xffull << shift)) | (((value >> (8 * i)) & 0xff) << shift);
    }
  }

  /// The changed copy of a word; the list is kept in address order so that equal memories compare
  /// equal.
  std::uint64_t& private_word(std::uint64_t word) {
    PrivateWord* const end = worker_.words + worker_.private_count;
    PrivateWord* at = std::lower_bound(
        worker_.words, end, word,
        [](const PrivateWord& entry, std::uint64_t wanted) { return entry.address < wanted; });
    if (at != end && at->address == word) return at->value;
    if (worker_.private_count == kPrivateWords) {
      overflowed_ = true;
      return spill_;
    }
    std::copy_backward(at, end, end + 1);
    ++worker_.private_count;
    *at = {word, 0};
    for (unsigned i = 0; i < 8; ++i) {
      at->value |= static_cast<std::uint64_t>(original_byte(word + i)) << (8 * i);
    }
    return at->value;
  }

  const World& world_;
  State& state_;
  WorkerState& worker_;
  const Process& process_;
  bool overflowed_ = false;
  std::uint64_t spill_ = 0;
};

}  // namespace hobbs::step
