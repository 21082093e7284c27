// Machine code as small decoded instructions, cached by address (Zydis does the decoding).
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace hobbs::step {

inline constexpr std::uint8_t kNoRegister = 0xff;

/// Where an operand's value is. General registers are 0..15 in encoding order (rax, rcx, rdx, rbx,
/// rsp, ...), vector registers 0..15.
struct Operand {
  enum class Kind : std::uint8_t { kNone, kRegister, kVector, kMemory, kImmediate };
  Kind kind = Kind::kNone;
  std::uint8_t bytes = 0;  // Width of the operand.
  std::uint8_t reg = 0;
  bool high_byte = false;  // ah, ch, dh, bh.
  std::uint8_t base = kNoRegister;
  std::uint8_t index = kNoRegister;
  std::uint8_t scale = 0;
  bool fs = false;         // Relative to the thread's own block.
  std::int64_t value = 0;  // Displacement (rip-relative ones resolved) or immediate.
};

struct Instruction {
  std::uint16_t mnemonic = 0;  // ZydisMnemonic.
  std::uint8_t length = 0;
  std::uint8_t operand_count = 0;
  bool locked = false;             // A lock prefix, or xchg with memory: drains the store buffer.
  bool repeated = false;           // rep, repe or repne.
  bool is_string = false;          // movs, stos: memory at rdi and rsi.
  bool writes_memory = false;      // Its explicit memory operand.
  bool is_relative = false;        // Means something else at another address.
  std::int8_t memory = -1;         // Index of the explicit memory operand, or -1.
  mutable std::uint8_t group = 0;  // The processor's note of which routine executes it.
  Operand operands[3];
};

/// Decodes on first use. Not thread-safe.
class Decoder {
 public:
  /// The instruction at `address` of this process's own code; null if the bytes are no instruction
  /// or have more explicit operands than lock code uses.
  const Instruction* at(std::uint64_t address);

  /// As text with symbol and offset: "pthread_mutex_lock+0x1f: lock cmpxchg [rdi], edx".
  static std::string text(std::uint64_t address);

 private:
  const Instruction* decode(std::uint64_t address);

  struct Slot {
    std::uint64_t address = 0;
    const Instruction* instruction = nullptr;
  };
  std::unordered_map<std::uint64_t, Instruction> decoded_;
  std::vector<Slot> recent_ = std::vector<Slot>(8192);  // Direct-mapped, in front of the map.
};

}  // namespace hobbs::step
