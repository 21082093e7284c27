// The interrupted code must not notice: every register, the flags, the red zone and memory are the
// same with breakpoints as without, whatever the function called does to the machine.
#include "harness/step/breakpoints.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

/// What a piece of code begins with and leaves behind.
struct MachineState {
  // rax, rcx, rdx, rbx, rbp, rsi, rdi, r8 to r15.
  std::uint64_t registers[15];
  std::uint64_t flags;
  std::uint64_t red_zone[16];  // From 128 bytes below the stack pointer.
  std::uint64_t vectors[16][2];
  std::uint64_t words[4];  // Where rdi points.
};

// `code` between loading all of a MachineState and storing it again; its sites are labels.
#define HOBBS_PIECE(name, code)                                                       \
  extern "C" void name(MachineState*);                                                \
  asm(".text\n.p2align 4\n" #name                                                     \
      ":\n"                                                                           \
      "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"            \
      "mov %rdi, machine_state(%rip)\n"                                               \
      "push 120(%rdi)\npopfq\n"                                                       \
      ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"                                \
      "mov 128+8*\\i(%rdi), %rax\nmov %rax, -128+8*\\i(%rsp)\n"                       \
      "movups 256+16*\\i(%rdi), %xmm\\i\n.endr\n"                                     \
      "mov (%rdi), %rax\nmov 8(%rdi), %rcx\nmov 16(%rdi), %rdx\nmov 24(%rdi), %rbx\n" \
      "mov 32(%rdi), %rbp\nmov 40(%rdi), %rsi\n"                                      \
      ".irp i,8,9,10,11,12,13,14,15\nmov 8*\\i-8(%rdi), %r\\i\n.endr\n"               \
      "mov 48(%rdi), %rdi\n" code                                                     \
      "push %rdi\nmov machine_state(%rip), %rdi\n"                                    \
      "mov %rax, (%rdi)\nmov %rcx, 8(%rdi)\nmov %rdx, 16(%rdi)\nmov %rbx, 24(%rdi)\n" \
      "mov %rbp, 32(%rdi)\nmov %rsi, 40(%rdi)\n"                                      \
      ".irp i,8,9,10,11,12,13,14,15\nmov %r\\i, 8*\\i-8(%rdi)\n.endr\n"               \
      "pop %rax\nmov %rax, 48(%rdi)\n"                                                \
      ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14\n"                                   \
      "mov -128+8*\\i(%rsp), %rax\nmov %rax, 128+8*\\i(%rdi)\n.endr\n"                \
      ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"                                \
      "movups %xmm\\i, 256+16*\\i(%rdi)\n.endr\n"                                     \
      "pushfq\npop 120(%rdi)\ncld\n"                                                  \
      "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n")

asm(".local machine_state\n.comm machine_state, 8, 8\n");

// As in glibc's lock functions: what follows an instruction decides where its jump can lead.
HOBBS_PIECE(piece_two_bytes, "two_bytes: mov (%rdi), %eax\nmov %esi, %r8d\n");
HOBBS_PIECE(piece_swap, "swap: xchg %eax, (%rdi)\ntest %eax, %eax\nje 1f\nnot %rcx\n1:\n");
HOBBS_PIECE(piece_three_bytes, "three_bytes: mov 16(%rdi), %eax\nmov %eax, %edx\n");
HOBBS_PIECE(piece_compare,
            "compare: lock cmpxchg %edx, (%rdi)\n.byte 0x0f, 0x85, 3, 0, 0, 0\nnot %rcx\n");
HOBBS_PIECE(piece_seven_bytes, "seven_bytes: movl $0, 8(%rdi)\n");
HOBBS_PIECE(piece_red_zone, "red_zone: addq $5, -128(%rsp)\n");
HOBBS_PIECE(piece_neighbours,
            "neighbours: addl $1, 12(%rdi)\nneighbours_2: mov %eax, 8(%rdi)\nxor %eax, %eax\n");
HOBBS_PIECE(piece_loop,
            "mov $3, %ecx\nloop: incl (%rdi)\nmov %esi, %r8d\nsub $1, %ecx\njnz loop\n");
HOBBS_PIECE(piece_call, "call_: syscall\nmov %esi, %r8d\n");
HOBBS_PIECE(piece_prefix,
            "test $1, %al\njz prefix + 1\nprefix: lock\nprefix_2: cmpxchg %edx, (%rdi)\nnop\n");
// Its jump would lead into this program.
HOBBS_PIECE(piece_no_room, "no_room: mov (%rdi), %eax\n.byte 5, 0, 0, 0, 0\n");

extern "C" std::uint8_t two_bytes, swap, three_bytes, compare, seven_bytes, red_zone, neighbours,
    neighbours_2, loop, call_, prefix, prefix_2, no_room;

namespace hobbs::step {
namespace {

struct Piece {
  const char* name;
  void (*run)(MachineState*);
  std::vector<Site> sites;
  std::size_t stops, jumps;
};

Site site(const std::uint8_t& at, int length, bool is_syscall = false) {
  return {reinterpret_cast<std::uint64_t>(&at), static_cast<std::uint8_t>(length), is_syscall};
}

std::vector<Piece> pieces() {
  return {{"two bytes", piece_two_bytes, {site(two_bytes, 2)}, 1, 1},
          {"swap", piece_swap, {site(swap, 2)}, 1, 1},
          {"three bytes", piece_three_bytes, {site(three_bytes, 3)}, 1, 1},
          {"compare", piece_compare, {site(compare, 4)}, 1, 1},
          {"seven bytes", piece_seven_bytes, {site(seven_bytes, 7)}, 1, 1},
          {"red zone", piece_red_zone, {site(red_zone, 6)}, 1, 1},
          {"neighbours", piece_neighbours, {site(neighbours, 4), site(neighbours_2, 3)}, 2, 2},
          {"loop", piece_loop, {site(loop, 2)}, 3, 1},
          {"system call", piece_call, {site(call_, 2, true)}, 1, 1},
          {"prefix", piece_prefix, {site(prefix, 4), site(prefix_2, 3)}, 1, 1},
          {"no room", piece_no_room, {site(no_room, 2)}, 1, 0}};
}

constexpr std::uint64_t kNoSuchCall = 0x7fff1234, kAnswer = 77;
std::size_t stops_made = 0;

/// Does to the machine all that a function may do.
void clobber(std::size_t, StopRegisters& registers) {
  ++stops_made;
  if (registers.rax == kNoSuchCall) registers.rax = kAnswer;
  asm volatile(
      ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
      "pcmpeqd %%xmm\\i, %%xmm\\i\n.endr\n"
      ".irp r,ax,cx,dx,si,di,8,9,10,11\nmov $-1, %%r\\r\n.endr\n"
      "add $1, %%rax\n" ::
          : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory");
}

enum class With { kNothing, kJumps, kTraps };

struct Outcome {
  MachineState state;
  std::size_t stops, jumps;
};

/// What a process of its own leaves behind, in memory that it shares.
Outcome outcome_of(const Piece& piece, With with, std::uint64_t rax, std::uint64_t flags) {
  static auto& outcome = *static_cast<Outcome*>(
      ::mmap(nullptr, sizeof(Outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::uint64_t numbers[sizeof(MachineState) / 8], number = 0x9e3779b97f4a7c15;
  for (std::uint64_t& each : numbers) each = number *= 6364136223846793005;
  std::memcpy(&outcome.state, numbers, sizeof numbers);
  outcome.state.registers[0] = rax;
  outcome.state.registers[6] = reinterpret_cast<std::uint64_t>(outcome.state.words);
  outcome.state.flags = flags;
  outcome.stops = outcome.jumps = 0;
  const pid_t pid = ::fork();
  if (pid == 0) {
    const auto kind = with == With::kJumps ? Breakpoints::Kind::kJumps : Breakpoints::Kind::kTraps;
    const Breakpoints breakpoints(with == With::kNothing ? std::vector<Site>() : piece.sites,
                                  clobber, kind);
    piece.run(&outcome.state);
    outcome.stops = stops_made;
    outcome.jumps = breakpoints.jumps();
    ::_exit(breakpoints.placed() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  return outcome;
}

bool same(const Outcome& a, const Outcome& b) {
  return std::memcmp(&a.state, &b.state, sizeof a.state) == 0;
}

// All flags of arithmetic, the direction, or none.
constexpr std::uint64_t kFlags[] = {0x202, 0xad7, 0x602};

TEST(Breakpoints, AreNotNoticed) {
  for (const Piece& piece : pieces()) {
    for (const std::uint64_t flags : kFlags) {
      for (const std::uint64_t rax : {kNoSuchCall + 1, kNoSuchCall + 2}) {
        SCOPED_TRACE(std::string(piece.name) + ", flags " + std::to_string(flags));
        const Outcome alone = outcome_of(piece, With::kNothing, rax, flags);
        EXPECT_EQ(alone.stops, 0u);
        if (piece.sites[0].is_syscall) continue;
        const Outcome jumped = outcome_of(piece, With::kJumps, rax, flags);
        const Outcome trapped = outcome_of(piece, With::kTraps, rax, flags);
        EXPECT_TRUE(same(alone, jumped));
        EXPECT_TRUE(same(alone, trapped));
        EXPECT_EQ(jumped.stops, piece.stops);
        EXPECT_EQ(trapped.stops, piece.stops);
        EXPECT_EQ(jumped.jumps, piece.jumps);
        EXPECT_EQ(trapped.jumps, 0u);
      }
    }
  }
}

// A system call's result is what the function says, and the call is not made.
TEST(Breakpoints, LeaveSystemCallsToTheFunction) {
  for (const Piece& piece : pieces()) {
    if (!piece.sites[0].is_syscall) continue;
    for (const std::uint64_t flags : kFlags) {
      const Outcome jumped = outcome_of(piece, With::kJumps, kNoSuchCall, flags);
      const Outcome trapped = outcome_of(piece, With::kTraps, kNoSuchCall, flags);
      EXPECT_TRUE(same(jumped, trapped));
      EXPECT_EQ(jumped.state.registers[0], kAnswer);
      EXPECT_EQ(jumped.stops, 1u);
      EXPECT_EQ(jumped.jumps, piece.jumps);
      const Outcome alone = outcome_of(piece, With::kNothing, kNoSuchCall, flags);
      EXPECT_EQ(static_cast<std::int64_t>(alone.state.registers[0]), -ENOSYS);
    }
  }
}

}  // namespace
}  // namespace hobbs::step
