// Memory as one worker's processor sees it: the shared bytes through its store buffer, its stack,
// and its own memory as changes to what it started with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "harness/step/image.h"
#include "harness/step/state.h"

namespace hobbs::step {

enum class Memory : std::uint8_t { kSequential, kTotalStoreOrder };

class WorkerMemory final : public Bus {
 public:
  WorkerMemory(const Image& image, Memory model, Local& local, Shared& shared)
      : image_(image), model_(model), local_(local), shared_(shared) {}

  std::uint64_t read(std::uint64_t address, unsigned size) override {
    if (in_stack(address) && fits_in_stack(address, size))
      return load(local_.stack + (kStackBytes - (kStackTop - address)), size);
    const std::uint32_t offset = image_.shared_offset(local_.worker, address);
    if (offset != kNotShared && offset + size <= kSharedBytes) return read_shared(offset, size);
    if (!reaches_own(address, size, false)) return 0;
    const unsigned within = address % 8;
    if (within + size <= 8) return narrow(private_content(address - within) >> (8 * within), size);
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      const std::uint64_t at = address + i;
      value |= (private_content(at & ~7ull) >> (8 * (at % 8)) & 0xff) << (8 * i);
    }
    return value;
  }

  /// Whether there are `size` bytes to read.
  bool readable(std::uint64_t address, unsigned size) const {
    return (in_stack(address) && fits_in_stack(address, size)) ||
           image_.shared_offset(local_.worker, address) != kNotShared ||
           (image_.own(address, false) == Image::Own::kYes &&
            image_.own(address + size - 1, false) == Image::Own::kYes);
  }

  /// Writes nothing after a fault, so that the instruction that faults changes no memory.
  void write(std::uint64_t address, unsigned size, std::uint64_t value) override {
    if (fault_.kind != Image::Own::kYes) return;
    if (in_stack(address) && fits_in_stack(address, size)) {
      const auto depth = static_cast<std::uint32_t>(kStackTop - address);
      local_.stack_touched = std::max(local_.stack_touched, depth);
      std::memcpy(local_.stack + (kStackBytes - depth), &value, size);
      return;
    }
    const std::uint32_t offset = image_.shared_offset(local_.worker, address);
    if (offset != kNotShared && offset + size <= kSharedBytes) {
      write_shared(offset, size, value);
    } else if (reaches_own(address, size, true)) {
      write_private(address, size, value);
    }
  }

  void drain_one() {
    const BufferedStore oldest = local_.buffer[0];
    std::memcpy(shared_.bytes + oldest.offset, &oldest.value, oldest.size);
    std::copy(local_.buffer + 1, local_.buffer + local_.buffered, local_.buffer);
    local_.buffer[--local_.buffered] = {};
  }
  void drain_all() {
    while (local_.buffered > 0) drain_one();
  }

  /// A word that the kernel writes: at once visible to all.
  void write_through(std::uint32_t offset, std::uint32_t value) {
    std::memcpy(shared_.bytes + offset, &value, 4);
  }

  /// The first access that the memory does not allow (kNo: the processor faults), or that the model
  /// does not know of; kYes: none.
  struct Fault {
    Image::Own kind = Image::Own::kYes;
    bool writes = false;
    std::uint64_t address = 0;
  };
  const Fault& fault() const { return fault_; }

  /// More private memory was written than a state can hold.
  bool overflowed() const { return overflowed_; }

 private:
  /// Says in fault_ why not.
  bool reaches_own(std::uint64_t address, unsigned size, bool writes) {
    for (const std::uint64_t at : {address, address + size - 1}) {
      const Image::Own own = image_.own(at, writes);
      if (own == Image::Own::kYes) continue;
      if (fault_.kind == Image::Own::kYes) fault_ = {own, writes, at};
      return false;
    }
    return true;
  }
  static bool fits_in_stack(std::uint64_t address, unsigned size) {
    return kStackTop - address >= size;
  }
  static bool in_stack(std::uint64_t address) { return kStackTop - address - 1 < kStackBytes; }
  static std::uint64_t load(const std::uint8_t* from, unsigned size) {
    std::uint64_t value = 0;
    std::memcpy(&value, from, size);
    return value;
  }

  std::uint64_t read_shared(std::uint32_t offset, unsigned size) const {
    std::uint8_t bytes[8];
    std::memcpy(bytes, shared_.bytes + offset, size);
    // A processor sees its own buffered stores, byte by byte, the newest last.
    for (unsigned i = 0; i < local_.buffered; ++i) {
      const BufferedStore& store = local_.buffer[i];
      for (unsigned b = 0; b < size; ++b) {
        const std::uint32_t at = offset + b - store.offset;
        if (at < store.size) bytes[b] = static_cast<std::uint8_t>(store.value >> (8 * at));
      }
    }
    return load(bytes, size);
  }

  void write_shared(std::uint32_t offset, unsigned size, std::uint64_t value) {
    if (model_ == Memory::kTotalStoreOrder) {
      if (local_.buffered == kStoreBufferEntries) drain_one();
      local_.buffer[local_.buffered++] = {value, offset, size};
    } else {
      std::memcpy(shared_.bytes + offset, &value, size);
    }
  }

  static std::uint64_t narrow(std::uint64_t value, unsigned size) {
    return size == 8 ? value : value & ((1ull << (8 * size)) - 1);
  }

  /// An aligned word of the worker's own memory.
  std::uint64_t private_content(std::uint64_t word) const {
    for (unsigned i = 0; i < local_.private_count; ++i) {
      if (local_.words[i].address == word) return local_.words[i].value;
    }
    return image_.original_word(local_.worker, word);
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
    PrivateWord* const end = local_.words + local_.private_count;
    PrivateWord* at = std::lower_bound(
        local_.words, end, word,
        [](const PrivateWord& entry, std::uint64_t wanted) { return entry.address < wanted; });
    if (at != end && at->address == word) return at->value;
    if (local_.private_count == kPrivateWords) {
      overflowed_ = true;
      return spill_;
    }
    std::copy_backward(at, end, end + 1);
    ++local_.private_count;
    *at = {word, image_.original_word(local_.worker, word)};
    return at->value;
  }

  const Image& image_;
  const Memory model_;
  Local& local_;
  Shared& shared_;
  bool overflowed_ = false;
  Fault fault_;
  std::uint64_t spill_ = 0;
};

}  // namespace hobbs::step
