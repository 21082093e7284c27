// Fibres: several stacks in one thread, switched by hand.
//
// A switch is a few instructions in the middle of the function that asks for it: nothing is called
// and nothing returns, so that the processor's predictions of returns stay right as long as the
// fibres stand in the same chain of calls. Where they do not, each level of that chain costs a
// wrong prediction (some 35 cycles): so ask for a switch as near to the code under test as can be.
//
// A set of fibres is made once; every execution starts them anew on the same stacks, so that an
// execution allocates nothing. Below each stack lies a guard page. A fibre that is abandoned in the
// middle is simply started again: nothing on its stack is unwound, so code that runs on a fibre
// must own no resources. One set belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#if !defined(__x86_64__)
#error "The fibre switch is written for x86-64; other processors need their own."
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HOBBS_FIBRES_TELL_SANITIZER 1
#endif
// Where the processor has more registers than every x86-64 has.
#if defined(__AVX512F__)
#define HOBBS_FIBRE_MORE_REGISTERS                                                              \
  "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",     \
      "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", \
      "k7",
#else
#define HOBBS_FIBRE_MORE_REGISTERS
#endif

namespace hobbs::explore {

class Fibres {
 public:
  using Entry = void (*)(void* argument);
  static constexpr int kMain = -1;  // The thread's own stack.

  /// `count` fibres with `stack_bytes` each (rounded up to pages). Throws std::system_error.
  explicit Fibres(int count, std::size_t stack_bytes = 64 * 1024);
  ~Fibres();
  Fibres(const Fibres&) = delete;
  Fibres& operator=(const Fibres&) = delete;

  /// The next switch to fibre `index` calls `entry(argument)`, which must never return: it ends by
  /// switching away for the last time. Whatever the fibre did before is forgotten.
  void start(int index, Entry entry, void* argument);

  /// Leaves the current fibre (or the main stack) and continues `index` (or kMain).
  [[gnu::always_inline]] void switch_to(int index) {
    // Nobody does. But a function that calls nothing may keep data below its stack pointer, where
    // jump() puts registers: so every function with a switch in it gets a call.
    if (index == current_) [[unlikely]]
      refuse_to_stay();
    Fibre& from = at(current_);
    Fibre& to = at(index);
    current_ = index;
#ifdef HOBBS_FIBRES_TELL_SANITIZER
    void* const kept = before_switch(to);
#endif
    jump(from.context, to.context);
#ifdef HOBBS_FIBRES_TELL_SANITIZER
    after_switch(kept);
#endif
  }

  int current() const { return current_; }
  int size() const { return count_; }

  /// The bytes of a suspended fibre's live frames.
  struct Live {
    std::byte* begin;
    std::byte* end;
  };
  Live live(int index) const;
  /// A hash of those bytes and of where it goes on: equal states have equal ones (the converse
  /// holds but for chance).
  std::uint64_t fingerprint(int index) const;
  /// Zeroes the upper `bytes` of a stack, so that what earlier fibres left there is in no
  /// fingerprint. The fibre must be started anew afterwards.
  void wipe(int index, std::size_t bytes);

  /// Whether `address` lies in the guard page below some stack (a stack overflow).
  bool in_guard(const void* address) const;

 private:
  /// Where a suspended fibre goes on. All else that it needs is on its stack.
  struct Context {
    void* stack_pointer = nullptr;
    void* instruction = nullptr;
  };
  struct alignas(64) Fibre {  // A power of two apart.
    Context context;
    std::byte* bottom = nullptr;  // Above the guard page.
    std::byte* top = nullptr;
    void* sanitizer = nullptr;  // The sanitizer's own record of the fibre, if any.
  };
  Fibre& at(int index) { return fibres_[index + 1]; }
  const Fibre& at(int index) const { return fibres_[index + 1]; }

  /// As a call: what a function need not keep is given up, what it must keep goes on the stack.
  /// (But there is no call and no return.) The floating-point control words are left alone: nothing
  /// under test changes them.
  [[gnu::always_inline]] static void jump(Context& from, const Context& to) {
    Context* save = &from;
    const Context* resume = &to;
    asm volatile(
        "pushq %%rbp\n\t"
        "pushq %%rbx\n\t"
        "pushq %%r12\n\t"
        "pushq %%r13\n\t"
        "pushq %%r14\n\t"
        "pushq %%r15\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "movq %%rsp, (%0)\n\t"
        "movq %%rax, 8(%0)\n\t"
        "movq (%1), %%rsp\n\t"
        "jmp *8(%1)\n"
        "1:\n\t"
        "popq %%r15\n\t"
        "popq %%r14\n\t"
        "popq %%r13\n\t"
        "popq %%r12\n\t"
        "popq %%rbx\n\t"
        "popq %%rbp"
        : "+D"(save), "+S"(resume)
        :
        : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
          "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
          "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
          HOBBS_FIBRE_MORE_REGISTERS "cc", "memory");
  }
  [[noreturn]] static void refuse_to_stay();
  void* before_switch(Fibre& to);
  void after_switch(void* kept);

  std::unique_ptr<Fibre[]> fibres_;  // The first is the thread's own stack.
  int count_ = 0;
  int current_ = kMain;
  std::byte* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
  std::size_t stride_ = 0;
};

}  // namespace hobbs::explore
