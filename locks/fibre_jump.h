// The jump from one fibre to another, in place: for whoever asks where no return may follow it.
//
// A processor foresees where a return goes by the calls that it has seen last, whichever stack they
// were on. So after a switch each return of the other fibre goes where it was not expected, at some
// 20 cycles each, unless both stand in the same chain of calls. That is why the code under test
// itself holds the jump (controlled_platform.h), and nothing that it calls.
#pragma once

#if !defined(__x86_64__)
#error "The fibre switch is written for x86-64; other processors need their own."
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

// `before`: instructions that come right before the jump.
#define HOBBS_FIBRE_JUMP(from, to, before)                                                        \
  FibreContext* save = &(from);                                                                   \
  const FibreContext* resume = &(to);                                                             \
  asm volatile(                                                                                   \
      "pushq %%rbp\n\t"                                                                           \
      "leaq 1f(%%rip), %%rax\n\t"                                                                 \
      "movq %%rsp, (%0)\n\t"                                                                      \
      "movq %%rax, 8(%0)\n\t"                                                                     \
      "movq (%1), %%rsp\n\t" before                                                               \
      "jmp *8(%1)\n"                                                                              \
      "1:\n\t"                                                                                    \
      "popq %%rbp"                                                                                \
      : "+D"(save), "+S"(resume)                                                                  \
      :                                                                                           \
      : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", \
        "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
        "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)",    \
        "st(6)", "st(7)", HOBBS_FIBRE_MORE_REGISTERS "cc", "memory")

namespace hobbs {

/// Where a suspended fibre goes on. All else that it needs is on its stack.
struct FibreContext {
  void* stack_pointer = nullptr;
  void* instruction = nullptr;
};

/// Leaves the fibre that runs and goes on with `to`, which may be the same. It gives up every
/// register, so what the function around it still needs the compiler has put on the stack. (The
/// floating-point control words are left alone: nothing under test changes them.) That function
/// must call something: one that calls nothing may keep data below its stack pointer.
[[gnu::always_inline]] inline void jump(FibreContext& from, const FibreContext& to) {
  HOBBS_FIBRE_JUMP(from, to, "");
}

/// The same, and what the other fibre may put on its stack of the registers that it must preserve
/// is nothing of the caller's: zeros.
[[gnu::always_inline]] inline void jump_bare(FibreContext& from, const FibreContext& to) {
  HOBBS_FIBRE_JUMP(from, to,
                   "xorl %%ebx, %%ebx\n\txorl %%ebp, %%ebp\n\txorl %%r12d, %%r12d\n\t"
                   "xorl %%r13d, %%r13d\n\txorl %%r14d, %%r14d\n\txorl %%r15d, %%r15d\n\t");
}

/// Whose turn it is, as an answer to a fibre: it jumps, if there is anywhere to jump to.
struct Turn {
  FibreContext* from = nullptr;
  const FibreContext* to = nullptr;

  [[gnu::always_inline]] void take() const {
    if (from != to) jump(*from, *to);
  }
};

#undef HOBBS_FIBRE_JUMP

}  // namespace hobbs
