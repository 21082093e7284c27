// The memory that a modelled world starts with: the lock's object, and what each process has for
// itself.
//
// All workers are modelled on this process: the same code at the same addresses. Each has its own
// thread block (thread-local variables, the C library's thread id and robust list) and, for a lock
// on a path, an object of its own, constructed as worker `w` would. Memory that such an object maps
// shared (a named mutex) is found by comparing this process's mappings.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "harness/step/state.h"
#include "locks/lock.h"

namespace hobbs::step {

/// Each worker's stack, and where its calls return to: no mapping of ours is there.
inline constexpr std::uint64_t kStackTop = 0x00005a5a'00000000ull;
inline constexpr std::uint64_t kStackMapping =
    65536;  // Of a real process; kStackBytes are modelled.
inline constexpr std::uint64_t kReturnAddress = 0x00005b5b'00000000ull;
inline constexpr std::uint32_t kNotShared = UINT32_MAX;

/// The modelled thread id of worker `w`: not one that the C library could mistake for flags.
constexpr std::uint32_t thread_id_of(std::size_t w) {
  return 0x1001u + static_cast<std::uint32_t>(w);
}

/// What the kernel knows of the one file and the one semaphore of a lock on a path. Stands behind
/// the lock's own bytes in Shared.
struct KernelObjects {
  static constexpr int kFamilies = 3;
  std::uint8_t held[kFamilies][kMaxStepWorkers];  // 0 not, 1 shared, 2 exclusive.
  std::uint8_t sleepers_undo;  // Those who sleep at the semaphore asked for SEM_UNDO.
  std::int16_t semaphore;
  std::int16_t undo[kMaxStepWorkers];  // What the kernel adds when the worker dies.
};

/// Constructs the lock at first, and destroys it in the end. Not thread-safe: the calls of a lock
/// are made in this thread, as one worker after the other.
class Image {
 public:
  /// `calls`: those of the lock's calls that will be made; null are those that will not. Throws
  /// std::runtime_error if the system refuses memory or the C library is not as expected.
  Image(const LockSpec& lock, const LockOps& calls, std::size_t workers, const std::string& path);
  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  const Shared& initial() const { return initial_; }
  /// What the lock's calls get as their first argument; the same in all workers.
  std::uint64_t object() const { return object_; }
  std::uint64_t fs_base() const { return fs_base_; }
  std::uint64_t robust_head() const { return robust_head_; }
  std::uint32_t kernel_offset() const { return kernel_offset_; }
  bool on_path() const { return lock_.home == Home::kPath; }

  /// Where `address` lies in the shared bytes, as worker `w` sees it; kNotShared if elsewhere.
  std::uint32_t shared_offset(std::size_t w, std::uint64_t address) const {
    for (const Alias& alias : workers_[w].aliases) {
      if (address - alias.base < alias.bytes) {
        return static_cast<std::uint32_t>(alias.offset + (address - alias.base));
      }
    }
    return kNotShared;
  }
  /// What is there of a process's own memory, for an access that lies in one page.
  enum class Own : std::uint8_t { kYes, kNo, kUnmodelled };
  Own own(std::uint64_t address, bool writes) const {
    const Page* page = page_of(address);
    if (page == nullptr) return what_is_missing(address);
    return !writes || page->writable ? Own::kYes : may_be_writable(address);
  }
  /// An aligned word of worker `w`'s own memory as the worker starts; 0 where there is none.
  std::uint64_t original_word(std::size_t w, std::uint64_t address) const;
  /// The object of worker `w` as its process starts; empty if the object is shared.
  const std::vector<std::uint8_t>& own_object(std::size_t w) const { return workers_[w].object; }
  /// This process's mapping of the shared bytes, for worker `w`.
  void copy_to_machine(std::size_t w, const Shared& shared) const;
  void copy_from_machine(std::size_t w, Shared& shared) const;
  const std::string& path() const { return path_; }

 private:
  struct Alias {
    std::uint64_t base = 0;
    std::uint32_t bytes = 0;
    std::uint32_t offset = 0;
  };
  /// As it was when it was first looked at: what this process does with it later, workers do not
  /// see.
  struct Page {
    bool writable = false;
    std::array<std::uint8_t, 4096> bytes;
  };
  struct Slot {
    std::uint64_t number = UINT64_MAX;
    const Page* page = nullptr;
  };
  struct Worker {
    std::vector<std::uint8_t> block;   // The bytes around fs.
    std::vector<std::uint8_t> object;  // Of a lock on a path.
    std::vector<Alias> aliases;
  };
  /// Null if this process cannot read it.
  const Page* page_of(std::uint64_t address) const {
    const std::uint64_t number = address / 4096;
    const Slot& slot = recent_[number % recent_.size()];
    return slot.number == number ? slot.page : find_page(number);
  }
  const Page* find_page(std::uint64_t number) const;
  void register_workers(std::uint64_t address, Page& page) const;
  static Own what_is_missing(std::uint64_t address);
  static Own may_be_writable(std::uint64_t address);
  void construct_shared();
  void construct_own(std::size_t w);
  void warm_up() const;
  void take_thread_blocks();
  void add_alias(std::size_t w, std::uint64_t base, std::size_t bytes);

  const LockSpec& lock_;
  const LockOps calls_;
  const std::string path_;
  std::vector<Worker> workers_;
  mutable std::unordered_map<std::uint64_t, Page> pages_;
  mutable std::array<Slot, 64> recent_;
  Shared initial_;
  std::uint64_t object_ = 0;
  std::uint64_t fs_base_ = 0;
  std::uint64_t block_base_ = 0;
  std::uint64_t robust_head_ = 0;
  std::uint32_t kernel_offset_ = 0;
};

}  // namespace hobbs::step
