#include "harness/step/image.h"

#include <asm/prctl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "harness/step/own_memory.h"
#include "locks/real_platform.h"

namespace hobbs::step {
namespace {

constexpr std::size_t kBlockBefore = 16 * 1024;  // Thread-local variables lie below fs,
constexpr std::size_t kBlockAfter = 4 * 1024;    // the thread's control block above.

[[noreturn]] void refuse(const std::string& what) { throw std::runtime_error(what); }

/// A copy of [from, from + bytes); what is not mapped reads as zero.
std::vector<std::uint8_t> readable_copy(std::uint64_t from, std::size_t bytes) {
  std::vector<std::uint8_t> copy(bytes, 0);
  constexpr std::size_t kPage = 4096;
  for (std::size_t done = 0; done < bytes;) {
    const std::uint64_t at = from + done;
    const std::size_t part = std::min(bytes - done, kPage - at % kPage);
    const std::size_t got = copy_own(at, copy.data() + done, part);
    std::memset(copy.data() + done + got, 0, part - got);
    done += part;
  }
  return copy;
}

/// Replaces the thread id that glibc keeps in its thread block (`fs` is at `fs_offset`).
void replace_thread_id(std::vector<std::uint8_t>& block, std::size_t fs_offset, std::uint32_t from,
                       std::uint32_t to) {
  // struct pthread lies at fs; its tid is at 0x2d0 since glibc 2.x on x86-64. Search near, so that
  // a moved field is noticed rather than missed.
  for (std::size_t at = fs_offset + 0x2c0; at < fs_offset + 0x320; at += 4) {
    std::uint32_t value = 0;
    std::memcpy(&value, block.data() + at, 4);
    if (value != from) continue;
    std::memcpy(block.data() + at, &to, 4);
    return;
  }
  refuse("this C library keeps its thread ids where step does not look");
}

struct Mapping {
  std::uint64_t from = 0, to = 0;
  bool operator==(const Mapping&) const = default;
};

/// The writable mappings that this process shares with others.
std::vector<Mapping> shared_mappings() {
  std::vector<Mapping> list;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping;
    char rights[8] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &mapping.from, &mapping.to, rights) == 3 &&
        std::string_view(rights) == "rw-s") {
      list.push_back(mapping);
    }
  }
  return list;
}

/// Puts this thread's thread-local variables back, at its end, as they were at its start: what a
/// lock notes there in a first trial is not what a fresh process has.
class ThreadLocals {
 public:
  ThreadLocals() {
    ::dl_iterate_phdr(save, this);
    void* list = nullptr;  // Its robust list, which lies in the C library's own block.
    std::size_t bytes = 0;
    ::syscall(SYS_get_robust_list, 0, &list, &bytes);
    if (list != nullptr) keep(list, bytes);
  }
  ~ThreadLocals() {
    for (const Block& block : blocks_)
      std::memcpy(block.at, block.bytes.data(), block.bytes.size());
  }
  ThreadLocals(const ThreadLocals&) = delete;
  ThreadLocals& operator=(const ThreadLocals&) = delete;

 private:
  struct Block {
    void* at;
    std::vector<std::uint8_t> bytes;
  };
  void keep(void* at, std::size_t bytes) {
    const auto* from = static_cast<const std::uint8_t*>(at);
    blocks_.push_back({at, {from, from + bytes}});
  }
  static int save(dl_phdr_info* info, std::size_t, void* self) {
    for (int i = 0; info->dlpi_tls_data != nullptr && i < info->dlpi_phnum; ++i) {
      if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
      static_cast<ThreadLocals*>(self)->keep(info->dlpi_tls_data, info->dlpi_phdr[i].p_memsz);
    }
    return 0;
  }
  std::vector<Block> blocks_;
};

}  // namespace

Image::Image(const LockSpec& lock, const LockOps& calls, std::size_t workers,
             const std::string& path)
    : lock_(lock), calls_(calls), path_(path), workers_(workers) {
  if (lock.real.size > kSharedBytes || workers > kMaxStepWorkers) {
    throw std::invalid_argument("the lock or the program is too large for this driver");
  }
  RealPlatform::attach(1);
  const int sharing = on_path() ? MAP_PRIVATE : MAP_SHARED;
  void* at = ::mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) refuse(std::string("no memory: ") + std::strerror(errno));
  object_ = reinterpret_cast<std::uint64_t>(at);
  if (on_path()) {
    for (std::size_t w = 0; w < workers; ++w) construct_own(w);
    kernel_offset_ = initial_.used;
    initial_.used += static_cast<std::uint32_t>((sizeof(KernelObjects) + 15) / 16 * 16);
    if (initial_.used > kSharedBytes) refuse("the lock's memory is too large for this driver");
  } else {
    construct_shared();
  }
  take_thread_blocks();
}

Image::~Image() {
  void* const object = reinterpret_cast<void*>(object_);
  if (on_path()) {
    for (const Worker& worker : workers_) {
      std::memcpy(object, worker.object.data(), lock_.real.size);
      lock_.real.destroy(object);
    }
  } else if (!workers_.empty()) {
    copy_to_machine(0, initial_);  // Real processes may have left it held.
    lock_.real.destroy(object);
  }
  ::munmap(object, kSharedBytes);
}

void Image::add_alias(std::size_t w, std::uint64_t base, std::size_t bytes) {
  std::uint32_t offset = 0;
  for (const Alias& alias : workers_[w].aliases) offset = alias.offset + alias.bytes;
  workers_[w].aliases.push_back({base, static_cast<std::uint32_t>(bytes), offset});
  if (offset + bytes > kSharedBytes) refuse("the lock maps more memory than this driver models");
  if (w != 0) return;
  std::memcpy(initial_.bytes + offset, reinterpret_cast<const void*>(base), bytes);
  initial_.used = static_cast<std::uint32_t>(offset + bytes);
}

/// Runs each call once for real, so that lazily bound symbols are bound. The others stay unmade: a
/// lock that faults in one of its calls is searched with programs that do without.
void Image::warm_up() const {
  const ThreadLocals restored_after;
  void* const lock = reinterpret_cast<void*>(object_);
  constexpr std::int64_t kSoon_ns = 1'000'000'000;
  const LockOps& ops = calls_;
  const auto once = [&](Outcome outcome, Outcome (*release)(void*)) {
    if (outcome == Outcome::kSystemError) {
      refuse(std::string("the lock cannot be had on this system: ") + std::strerror(errno));
    }
    if (holds(outcome)) release(lock);
  };
  const auto deadline = [] { return RealPlatform::now().time_since_epoch().count() + kSoon_ns; };
  if (ops.acquire != nullptr) once(ops.acquire(lock), ops.release);
  if (ops.try_acquire != nullptr) once(ops.try_acquire(lock), ops.release);
  if (ops.acquire_until != nullptr) once(ops.acquire_until(lock, deadline()), ops.release);
  if (ops.acquire_shared != nullptr) once(ops.acquire_shared(lock), ops.release_shared);
  if (ops.try_acquire_shared != nullptr) once(ops.try_acquire_shared(lock), ops.release_shared);
  if (ops.acquire_shared_until != nullptr) {
    once(ops.acquire_shared_until(lock, deadline()), ops.release_shared);
  }
}

void Image::construct_shared() {
  void* const lock = reinterpret_cast<void*>(object_);
  lock_.real.construct(lock, "");
  warm_up();
  lock_.real.destroy(lock);
  std::memset(lock, 0, kSharedBytes);
  lock_.real.construct(lock, "");
  const std::size_t bytes = (lock_.real.size + 15) / 16 * 16;
  for (std::size_t w = 0; w < workers_.size(); ++w) add_alias(w, object_, bytes);
}

void Image::construct_own(std::size_t w) {
  RealPlatform::attach(static_cast<std::uint32_t>(w + 1));
  void* const object = reinterpret_cast<void*>(object_);
  const std::vector<Mapping> before = shared_mappings();
  std::memset(object, 0, lock_.real.size);
  lock_.real.construct(object, path_.c_str());
  if (w == 0) warm_up();
  for (const Mapping& mapping : shared_mappings()) {
    if (std::find(before.begin(), before.end(), mapping) != before.end()) continue;
    add_alias(w, mapping.from, mapping.to - mapping.from);
  }
  // A library may map an object once a process, however often it is opened.
  if (workers_[w].aliases.empty() && w > 0) workers_[w].aliases = workers_[0].aliases;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(object_);
  workers_[w].object.assign(bytes, bytes + (lock_.real.size + 7) / 8 * 8);
}

void Image::take_thread_blocks() {
  ::syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base_);
  std::size_t head_bytes = 0;
  ::syscall(SYS_get_robust_list, 0, &robust_head_, &head_bytes);
  block_base_ = fs_base_ - kBlockBefore;
  const auto tid = static_cast<std::uint32_t>(::syscall(SYS_gettid));
  for (std::size_t w = 0; w < workers_.size(); ++w) {
    RealPlatform::attach(static_cast<std::uint32_t>(w + 1));
    workers_[w].block = readable_copy(block_base_, kBlockBefore + kBlockAfter);
    replace_thread_id(workers_[w].block, kBlockBefore, tid, thread_id_of(w));
  }
}

const Image::Page* Image::find_page(std::uint64_t number) const {
  const auto found = pages_.find(number);
  const Page* page = found != pages_.end() ? &found->second : nullptr;
  if (page == nullptr) {
    Page made;
    const std::uint64_t address = number * made.bytes.size();
    if (copy_own(address, made.bytes.data(), made.bytes.size()) != made.bytes.size())
      return nullptr;
    made.writable = has_right(address, kWritable);
    register_workers(address, made);
    page = &pages_.emplace(number, made).first->second;
  }
  recent_[number % recent_.size()] = {number, page};
  return page;
}

/// Where a lock looks up the ids of other workers, it finds the modelled ones.
void Image::register_workers(std::uint64_t address, Page& page) const {
  const RealPlatform::Registry& registry = RealPlatform::registry();
  for (std::size_t w = 0; w < workers_.size(); ++w) {
    for (const auto* const entry : {&registry.process[w + 1], &registry.thread[w + 1]}) {
      const std::uint64_t at = reinterpret_cast<std::uint64_t>(entry) - address;
      const std::uint32_t id = thread_id_of(w);
      if (at < page.bytes.size()) std::memcpy(page.bytes.data() + at, &id, sizeof id);
    }
  }
}

/// The worker's process has more stack than is modelled, and the kernel maps pages that only the
/// processor can read.
Image::Own Image::what_is_missing(std::uint64_t address) {
  const bool in_deep_stack = kStackTop - address - 1 < kStackMapping;
  return in_deep_stack || has_right(address, kReadable) ? Own::kUnmodelled : Own::kNo;
}

/// Rights may have been changed since the page was first looked at.
Image::Own Image::may_be_writable(std::uint64_t address) {
  return has_right(address, kWritable) ? Own::kYes : Own::kNo;
}

std::uint64_t Image::original_word(std::size_t w, std::uint64_t address) const {
  const Worker& worker = workers_[w];
  const std::uint8_t* from = nullptr;
  if (address - block_base_ < worker.block.size()) {
    from = worker.block.data() + (address - block_base_);
  } else if (address - object_ + 8 <= worker.object.size()) {
    from = worker.object.data() + (address - object_);
  } else {
    const Page* page = page_of(address);
    if (page == nullptr) return 0;
    from = page->bytes.data() + address % page->bytes.size();
  }
  std::uint64_t word = 0;
  std::memcpy(&word, from, 8);
  return word;
}

void Image::copy_to_machine(std::size_t w, const Shared& shared) const {
  for (const Alias& alias : workers_[w].aliases) {
    std::memcpy(reinterpret_cast<void*>(alias.base), shared.bytes + alias.offset, alias.bytes);
  }
}

void Image::copy_from_machine(std::size_t w, Shared& shared) const {
  for (const Alias& alias : workers_[w].aliases) {
    std::memcpy(shared.bytes + alias.offset, reinterpret_cast<const void*>(alias.base),
                alias.bytes);
  }
}

}  // namespace hobbs::step
