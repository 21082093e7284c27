#include "harness/explore/fibre.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if !defined(__x86_64__)
#error "The fibre switch is written for x86-64; other processors need their own."
#endif

// void hobbs_fibre_switch(void** save, void* resume): saves the callee-saved registers and the
// stack pointer, then continues where `resume` was saved. It jumps instead of returning because the
// processor's return predictor would guess wrong at every switch. The floating-point control words
// are left alone: nothing under test changes them.
asm(R"(
.text
.p2align 4
.globl hobbs_fibre_switch
.hidden hobbs_fibre_switch
.type hobbs_fibre_switch, @function
hobbs_fibre_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
.size hobbs_fibre_switch, .-hobbs_fibre_switch

.p2align 4
.globl hobbs_fibre_entry
.hidden hobbs_fibre_entry
.type hobbs_fibre_entry, @function
hobbs_fibre_entry:
  .cfi_startproc
  .cfi_undefined rip
  movq %r13, %rdi
  callq *%r12
  ud2
  .cfi_endproc
.size hobbs_fibre_entry, .-hobbs_fibre_entry
)");

extern "C" {
void hobbs_fibre_switch(void** save, void* resume);
void hobbs_fibre_entry();
}

namespace hobbs::explore {
namespace {

std::size_t page_bytes() {
  static const std::size_t bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

Fibres::Fibres(int count, std::size_t stack_bytes) : fibres_(static_cast<std::size_t>(count)) {
  const std::size_t page = page_bytes();
  const std::size_t stack = (stack_bytes + page - 1) / page * page;
  stride_ = stack + page;
  mapping_bytes_ = stride_ * fibres_.size();
  void* const at = ::mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "fibre stacks");
  mapping_ = static_cast<std::byte*>(at);
  for (std::size_t i = 0; i < fibres_.size(); ++i) {
    std::byte* const base = mapping_ + i * stride_;
    if (::mprotect(base, page, PROT_NONE) != 0) {
      const int error = errno;
      ::munmap(mapping_, mapping_bytes_);
      throw std::system_error(error, std::generic_category(), "fibre guard page");
    }
    fibres_[i].bottom = base + page;
    fibres_[i].top = base + stride_;
#if defined(__SANITIZE_THREAD__)
    fibres_[i].sanitizer = __tsan_create_fiber(0);
#endif
  }
#if defined(__SANITIZE_THREAD__)
  main_.sanitizer = __tsan_get_current_fiber();
#endif
}

Fibres::~Fibres() {
#if defined(__SANITIZE_THREAD__)
  for (Fibre& fibre : fibres_) __tsan_destroy_fiber(fibre.sanitizer);
#endif
  ::munmap(mapping_, mapping_bytes_);
}

void Fibres::start(int index, Entry entry, void* argument) {
  Fibre& fibre = at(index);
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(fibre.bottom,
                              static_cast<std::size_t>(fibre.top - fibre.bottom));
#endif
  // What hobbs_fibre_switch() pops: r15, r14, r13, r12, rbx, rbp, and where to go on. The stack is
  // left such that hobbs_fibre_entry() calls on a 16-byte boundary, as the ABI wants.
  void** frame = reinterpret_cast<void**>(fibre.top) - 9;
  frame[0] = nullptr;
  frame[1] = nullptr;
  frame[2] = argument;
  frame[3] = reinterpret_cast<void*>(entry);
  frame[4] = nullptr;
  frame[5] = nullptr;
  frame[6] = reinterpret_cast<void*>(&hobbs_fibre_entry);
  frame[7] = frame[8] = nullptr;
  fibre.stack_pointer = frame;
}

void Fibres::switch_to(int index) {
  Fibre& from = at(current_);
  Fibre& to = at(index);
  current_ = index;
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, to.bottom, static_cast<std::size_t>(to.top - to.bottom));
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(to.sanitizer, 0);
#endif
  hobbs_fibre_switch(&from.stack_pointer, to.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(fake, &bottom, &bytes);
#endif
}

Fibres::Live Fibres::live(int index) const {
  const Fibre& fibre = fibres_[static_cast<std::size_t>(index)];
  return {static_cast<std::byte*>(fibre.stack_pointer), fibre.top};
}

std::uint64_t Fibres::fingerprint(int index) const {
  const Live bytes = live(index);
  std::uint64_t hash = 0x9e3779b97f4a7c15ull ^ static_cast<std::uint64_t>(bytes.end - bytes.begin);
  for (const std::byte* at = bytes.begin; at + 8 <= bytes.end; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    hash = (hash ^ word) * 0xff51afd7ed558ccdull;
    hash ^= hash >> 32;
  }
  return hash;
}

void Fibres::wipe(int index, std::size_t bytes) {
  const Fibre& fibre = at(index);
  bytes = std::min(bytes, static_cast<std::size_t>(fibre.top - fibre.bottom));
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(fibre.bottom, static_cast<std::size_t>(fibre.top - fibre.bottom));
#endif
  std::memset(fibre.top - bytes, 0, bytes);
}

bool Fibres::in_guard(const void* address) const {
  const auto* at = static_cast<const std::byte*>(address);
  if (at < mapping_ || at >= mapping_ + mapping_bytes_) return false;
  return static_cast<std::size_t>(at - mapping_) % stride_ < page_bytes();
}

}  // namespace hobbs::explore
