#include "harness/step/breakpoints.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace {
hobbs::step::Breakpoints::Function function_to_call = nullptr;
}

// Where all stubs call. On the stack: the stub's return address, the site's index, and 128 bytes
// that belong to the interrupted code. A function preserves the registers that are not pushed here,
// but no vector registers.
extern "C" void hobbs_step_enter();
extern "C" void hobbs_step_stopped(std::size_t site, hobbs::step::StopRegisters& registers) {
  function_to_call(site, registers);
}
asm(R"(
  .text
  .type hobbs_step_enter, @function
hobbs_step_enter:
  push %rbp
  mov %rsp, %rbp
  pushfq
  push %r11
  push %r10
  push %r9
  push %r8
  push %rdi
  push %rsi
  push %rdx
  push %rcx
  push %rax
  mov 16(%rbp), %rdi
  mov %rsp, %rsi
  sub $512, %rsp
  and $-64, %rsp
  fxsave64 (%rsp)
  cld
  call hobbs_step_stopped
  fxrstor64 (%rsp)
  lea -80(%rbp), %rsp
  pop %rax
  pop %rcx
  pop %rdx
  pop %rsi
  pop %rdi
  pop %r8
  pop %r9
  pop %r10
  pop %r11
  popfq
  pop %rbp
  ret
  .size hobbs_step_enter, . - hobbs_step_enter
)");

namespace hobbs::step {
namespace {

// Wider vector registers are not saved: a compiler that was told to use them gets traps.
#ifdef __AVX__
constexpr bool kCanJump = false;
#else
constexpr bool kCanJump = true;
#endif

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kUserBegin = 1 << 16, kUserEnd = (1ull << 47) - kPage;
constexpr std::size_t kInstructionMax = 15;
constexpr std::size_t kStubBytes = 64;
constexpr std::uint8_t kJump = 0xe9, kTrap = 0xcc;

/// Up to the instruction itself, but for two numbers.
constexpr std::uint8_t kCall[] = {0x48, 0x8d, 0x64, 0x24, 0x80,            // lea rsp, [rsp - 128]
                                  0x68, 0,    0,    0,    0,               // push site
                                  0xff, 0x15, 0,    0,    0,    0,         // call [its end]
                                  0x48, 0x8d, 0xa4, 0x24, 0x88, 0, 0, 0};  // lea rsp, [rsp + 136]
constexpr std::size_t kSiteAt = 6, kEnterAt = 12, kEnterEnd = 16;
constexpr std::size_t kBody = sizeof kCall;                 // Where the instruction stands.
constexpr std::uint8_t kBack[] = {0xff, 0x25, 0, 0, 0, 0};  // jmp [after it]
static_assert(kBody + kInstructionMax + sizeof kBack + 2 * sizeof(std::uint64_t) <= kStubBytes);

std::uint8_t* at(std::uint64_t address) { return reinterpret_cast<std::uint8_t*>(address); }

constexpr int kOwnMemory = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr int kAllRights = PROT_READ | PROT_WRITE | PROT_EXEC;

}  // namespace

Breakpoints::Breakpoints(std::vector<Site> sites, Function function, Kind kind)
    : sites_(std::move(sites)), places_(sites_.size()) {
  static Breakpoints* instance;
  instance = this;
  function_to_call = function;
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t*, void* context) { instance->trapped(context); };
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGTRAP, &action, nullptr);
  void* const room = ::mmap(nullptr, sites_.size() * kStubBytes + 1, kAllRights, kOwnMemory, -1, 0);
  if (room == MAP_FAILED) return;
  trap_stubs_ = reinterpret_cast<std::uint64_t>(room);
  for (const Site& site : sites_) {
    const std::uint64_t page = site.address & ~(kPage - 1);
    if (::mprotect(at(page), site.address + site.length - page, kAllRights) != 0) return;
  }
  // From the last one: the bytes that follow an instruction must keep what its jump was made for.
  for (std::size_t i = sites_.size(); i-- > 0;) plan(i, kind);
  for (std::size_t i = 0; i < sites_.size(); ++i) write_stub(i);
  write_code();
  placed_ = true;
}

void Breakpoints::plan(std::size_t site, Kind kind) {
  Place& place = places_[site];
  place.stub = kCanJump && kind == Kind::kJumps ? room_for_jump(site) : 0;
  if (place.stub == 0) {
    place.stub = trap_stubs_ + site * kStubBytes;
    place.bytes[0] = kTrap;
    place.length = 1;
    return;
  }
  const auto operand = static_cast<std::uint32_t>(place.stub - sites_[site].address - kJumpBytes);
  place.bytes[0] = kJump;
  std::memcpy(place.bytes + 1, &operand, sizeof operand);
  place.length = std::min<std::uint8_t>(sites_[site].length, kJumpBytes);
  ++jumps_;
}

/// Where a jump leads that has the bytes after the instruction as they are, and any before.
std::uint64_t Breakpoints::room_for_jump(std::size_t site) {
  const std::uint64_t address = sites_[site].address;
  const std::size_t written = std::min<std::size_t>(sites_[site].length, kJumpBytes);
  // Whoever jumps past a lock prefix finds another instruction behind it.
  if (site + 1 < sites_.size() && sites_[site + 1].address < address + written) return 0;
  const std::uint32_t fixed = operand_at(site);
  const auto free = static_cast<std::uint32_t>((std::uint64_t{1} << 8 * (written - 1)) - 1);
  // Below libraries there is most room, so this begins with offsets below zero.
  for (std::uint32_t byte = 0xe0; byte != 0; byte -= 8) {
    const std::uint32_t operand = (fixed & ~free) | (byte * 0x01010101u & free);
    const std::uint64_t stub =
        address + kJumpBytes + static_cast<std::uint64_t>(static_cast<std::int32_t>(operand));
    if (take(stub)) return stub;
  }
  return 0;
}

/// What a jump at the site would have for an operand, with what is planned behind it.
std::uint32_t Breakpoints::operand_at(std::size_t site) const {
  std::uint8_t bytes[kJumpBytes];
  const std::uint64_t address = sites_[site].address;
  std::memcpy(bytes, at(address), sizeof bytes);
  for (std::size_t next = site + 1; next < sites_.size(); ++next) {
    for (std::size_t i = 0; i < places_[next].length; ++i) {
      const std::uint64_t offset = sites_[next].address + i - address;
      if (offset < sizeof bytes) bytes[offset] = places_[next].bytes[i];
    }
  }
  std::uint32_t operand;
  std::memcpy(&operand, bytes + 1, sizeof operand);
  return operand;
}

/// Makes the room a stub's, if nothing else is there.
bool Breakpoints::take(std::uint64_t stub) {
  if (stub < kUserBegin || stub >= kUserEnd) return false;
  for (const Place& other : places_) {
    if (stub < other.stub + kStubBytes && other.stub < stub + kStubBytes) return false;
  }
  for (std::uint64_t page = stub & ~(kPage - 1); page < stub + kStubBytes; page += kPage) {
    if (std::find(pages_.begin(), pages_.end(), page) != pages_.end()) continue;
    void* const got = ::mmap(at(page), kPage, kAllRights, kOwnMemory | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == MAP_FAILED) return false;
    if (got != at(page)) {  // An old kernel takes it for a wish.
      ::munmap(got, kPage);
      return false;
    }
    pages_.push_back(page);
  }
  return true;
}

void Breakpoints::write_stub(std::size_t site) const {
  std::uint8_t* const stub = at(places_[site].stub);
  const auto index = static_cast<std::uint32_t>(site);
  const std::size_t length = sites_[site].is_syscall ? 0 : sites_[site].length;
  const std::size_t end = kBody + length + sizeof kBack;
  const auto enter_offset = static_cast<std::uint32_t>(end + 8 - kEnterEnd);
  const std::uint64_t targets[] = {sites_[site].address + sites_[site].length,
                                   reinterpret_cast<std::uint64_t>(&hobbs_step_enter)};
  std::memcpy(stub, kCall, sizeof kCall);
  std::memcpy(stub + kSiteAt, &index, sizeof index);
  std::memcpy(stub + kEnterAt, &enter_offset, sizeof enter_offset);
  std::memcpy(stub + kBody, at(sites_[site].address), length);
  std::memcpy(stub + kBody + length, kBack, sizeof kBack);
  std::memcpy(stub + end, targets, sizeof targets);
}

/// Calls nothing: from the first byte on, what it called could stop.
void Breakpoints::write_code() const {
  for (std::size_t site = 0; site < sites_.size(); ++site) {
    auto* const code = reinterpret_cast<volatile std::uint8_t*>(sites_[site].address);
    for (std::size_t i = 0; i < places_[site].length; ++i) code[i] = places_[site].bytes[i];
  }
}

/// In the signal handler. The stub's second half does the rest.
void Breakpoints::trapped(void* context) const {
  auto& from = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const std::uint64_t address = static_cast<std::uint64_t>(from[REG_RIP]) - 1;
  std::size_t site = 0;
  while (sites_[site].address != address) ++site;
  constexpr int kOrder[] = {REG_RAX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
                            REG_R8,  REG_R9,  REG_R10, REG_R11};
  std::array<std::uint64_t, std::size(kOrder)> values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::uint64_t>(from[kOrder[i]]);
  }
  auto registers = std::bit_cast<StopRegisters>(values);
  function_to_call(site, registers);
  values = std::bit_cast<decltype(values)>(registers);
  for (std::size_t i = 0; i < values.size(); ++i) {
    from[kOrder[i]] = static_cast<greg_t>(values[i]);
  }
  from[REG_RIP] = static_cast<greg_t>(places_[site].stub + kBody);
}

}  // namespace hobbs::step
