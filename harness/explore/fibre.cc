#include "harness/explore/fibre.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

// Where a fibre begins: its argument and its function are on the stack.
asm(R"(
.text
.p2align 4
.globl hobbs_fibre_entry
.type hobbs_fibre_entry, @function
hobbs_fibre_entry:
  .cfi_startproc
  .cfi_undefined rip
  xorl %ebp, %ebp
  popq %rdi
  popq %rax
  callq *%rax
  ud2
  .cfi_endproc
.size hobbs_fibre_entry, .-hobbs_fibre_entry
)");

namespace hobbs::explore {
namespace {

constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15ull, kMix = 0xff51afd7ed558ccdull;

std::size_t page_bytes() {
  static const std::size_t bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

/// Sets that nobody uses, by the thread that made them. Not in a thread_local variable: explorers
/// set those back in time.
class Store {
 public:
  std::unique_ptr<Fibres> take(int count) {
    const std::scoped_lock lock(mutex_);
    const auto found = std::ranges::find_if(spare_, [count](const Spare& spare) {
      return spare.thread == std::this_thread::get_id() && spare.fibres->size() == count;
    });
    if (found == spare_.end()) return nullptr;
    std::unique_ptr<Fibres> fibres = std::move(found->fibres);
    spare_.erase(found);
    return fibres;
  }
  void give_back(std::unique_ptr<Fibres> fibres) {
    const std::scoped_lock lock(mutex_);
    if (spare_.size() == kMostSpare) spare_.erase(spare_.begin());
    spare_.push_back({std::this_thread::get_id(), std::move(fibres)});
  }

 private:
  static constexpr std::size_t kMostSpare = 16;
  struct Spare {
    std::thread::id thread;
    std::unique_ptr<Fibres> fibres;
  };
  std::mutex mutex_;
  std::vector<Spare> spare_;
};

Store& store() {
  static Store* const store = new Store;  // Outlives all threads.
  return *store;
}

}  // namespace

LeasedFibres::LeasedFibres(int count) : fibres_(store().take(count)) {
  if (!fibres_) fibres_ = std::make_unique<Fibres>(count);
}

LeasedFibres::~LeasedFibres() { store().give_back(std::move(fibres_)); }

Fibres::Fibres(int count, std::size_t stack_bytes)
    : fibres_(new Fibre[static_cast<std::size_t>(count) + 1]),
      first_(&fibres_[1]),
      count_(count),
      here_(&at(kMain).context) {
  const std::size_t page = page_bytes();
  const std::size_t stack = (stack_bytes + page - 1) / page * page;
  stride_ = stack + page;
  mapping_bytes_ = stride_ * static_cast<std::size_t>(count);
  void* const mapping = ::mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    throw std::system_error(errno, std::generic_category(), "fibre stacks");
  mapping_ = static_cast<std::byte*>(mapping);
  for (int i = 0; i < count; ++i) {
    std::byte* const base = mapping_ + static_cast<std::size_t>(i) * stride_;
    if (::mprotect(base, page, PROT_NONE) != 0) {
      const int error = errno;
      ::munmap(mapping_, mapping_bytes_);
      throw std::system_error(error, std::generic_category(), "fibre guard page");
    }
    at(i).bottom = base + page;
    at(i).top = base + stride_;
#if defined(__SANITIZE_THREAD__)
    at(i).sanitizer = __tsan_create_fiber(0);
#endif
  }
#if defined(__SANITIZE_THREAD__)
  at(kMain).sanitizer = __tsan_get_current_fiber();
#endif
}

Fibres::~Fibres() {
#if defined(__SANITIZE_THREAD__)
  for (int i = 0; i < count_; ++i) __tsan_destroy_fiber(at(i).sanitizer);
#endif
  ::munmap(mapping_, mapping_bytes_);
}

#ifdef HOBBS_FIBRES_TELL_SANITIZER
void Fibres::unpoison([[maybe_unused]] Fibre& fibre) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(fibre.bottom, static_cast<std::size_t>(fibre.top - fibre.bottom));
#endif
}
#endif

void Fibres::refuse_to_stay() {
  std::fputs("hobbs: a fibre was to switch to itself\n", stderr);
  std::abort();
}

#ifdef HOBBS_FIBRES_TELL_SANITIZER
void Fibres::switch_with_sanitizer(int index) {
  Fibre& from = at(current_);
  Fibre& to = at(index);
  current_ = index;
#if defined(__SANITIZE_ADDRESS__)
  void* kept = nullptr;
  __sanitizer_start_switch_fiber(&kept, to.bottom, static_cast<std::size_t>(to.top - to.bottom));
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(to.sanitizer, 0);
#endif
  jump(from.context, to.context);
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(kept, &bottom, &bytes);
#endif
}
#endif

Fibres::Live Fibres::live(int index) const {
  const Fibre& fibre = at(index);
  return {static_cast<std::byte*>(fibre.context.stack_pointer), fibre.top};
}

void Fibres::restore(int index, const FibreContext& context, const std::byte* live) {
  Fibre& fibre = at(index);
  fibre.context = context;
  const Live bytes = this->live(index);
  std::memcpy(bytes.begin, live, static_cast<std::size_t>(bytes.end - bytes.begin));
}

std::uint64_t Fibres::fingerprint(int index) const {
  const Live bytes = live(index);
  const std::uint64_t start =
      reinterpret_cast<std::uintptr_t>(at(index).context.instruction) * kSpread ^
      static_cast<std::uint64_t>(bytes.end - bytes.begin) << 48;
  // Two lanes that do not wait for each other's multiplications. Each step can be undone: so states
  // that differ in one word have different lanes, whatever the word is.
  std::array<std::uint64_t, 2> lanes{start, start + kSpread};
  const auto mix = [](std::uint64_t& lane, const std::byte* at) {
    std::array<std::uint64_t, 2> words;
    std::memcpy(words.data(), at, sizeof words);
    lane = std::rotl((lane ^ words[0]) * kMix, 32) ^ words[1] * kSpread;
  };
  const std::byte* from = bytes.begin;
  for (; from + 32 <= bytes.end; from += 32) {
    mix(lanes[0], from);
    mix(lanes[1], from + 16);
  }
  for (; from + 8 <= bytes.end; from += 8) {
    std::uint64_t word;
    std::memcpy(&word, from, sizeof word);
    lanes[0] = std::rotl((lanes[0] ^ word) * kMix, 32);
  }
  std::uint64_t hash = 0;
  for (const std::uint64_t lane : lanes) {
    hash = (hash ^ lane) * kMix;
    hash ^= hash >> 32;
  }
  return hash;
}

void Fibres::wipe(int index, std::size_t bytes) {
  Fibre& fibre = at(index);
  bytes = std::min(bytes, static_cast<std::size_t>(fibre.top - fibre.bottom));
#ifdef HOBBS_FIBRES_TELL_SANITIZER
  unpoison(fibre);
#endif
  std::memset(fibre.top - bytes, 0, bytes);
}

bool Fibres::in_guard(const void* address) const {
  const auto* at = static_cast<const std::byte*>(address);
  if (at < mapping_ || at >= mapping_ + mapping_bytes_) return false;
  return static_cast<std::size_t>(at - mapping_) % stride_ < page_bytes();
}

}  // namespace hobbs::explore
