// One instruction in execution: reads and writes operands, sets flags. Internal to cpu.
#pragma once

#include <bit>
#include <cstdint>

#include "harness/step/cpu.h"

namespace hobbs::step {

inline std::uint64_t mask_of(unsigned bytes) {
  return bytes >= 8 ? ~0ull : (1ull << (8 * bytes)) - 1;
}
inline std::uint64_t sign_bit(unsigned bytes) { return 1ull << (8 * bytes - 1); }

inline std::int64_t sign_extend(std::uint64_t value, unsigned bytes) {
  const unsigned shift = 64 - 8 * bytes;
  return static_cast<std::int64_t>(value << shift) >> shift;
}

/// One instruction in execution: reads and writes operands, sets flags.
class Execution {
 public:
  Execution(Processor& cpu, Bus& bus, const Instruction& instruction)
      : cpu_(cpu), bus_(bus), in_(instruction), address_(effective_address(cpu, instruction)) {}

  Step run();

 private:
  static constexpr std::uint8_t kGroups = 9;
  bool run_group(std::uint8_t group);
  bool run_move();
  bool run_arithmetic();
  bool run_shift();
  bool run_bits();
  bool run_multiply();
  bool run_wide_multiply();
  bool run_signed_divide();
  bool run_control();
  bool run_atomic();
  bool run_string();
  bool run_vector();

  unsigned width() const { return in_.operands[0].bytes; }

  std::uint64_t get(const Operand& operand) {
    switch (operand.kind) {
      case Operand::Kind::kRegister: {
        const std::uint64_t whole = cpu_.general[operand.reg];
        return operand.high_byte ? (whole >> 8) & 0xff : whole & mask_of(operand.bytes);
      }
      case Operand::Kind::kMemory: return bus_.read(address_, operand.bytes);
      case Operand::Kind::kImmediate: return static_cast<std::uint64_t>(operand.value);
      default: return 0;
    }
  }
  std::uint64_t get(int i) { return get(in_.operands[i]) & mask_of(width()); }

  void put(const Operand& operand, std::uint64_t value) {
    if (operand.kind == Operand::Kind::kMemory) {
      bus_.write(address_, operand.bytes, value & mask_of(operand.bytes));
      return;
    }
    std::uint64_t& whole = cpu_.general[operand.reg];
    if (operand.high_byte) {
      whole = (whole & ~0xff00ull) | ((value & 0xff) << 8);
    } else if (operand.bytes >= 4) {
      whole = value & mask_of(operand.bytes);  // A 32-bit result clears the upper half.
    } else {
      whole = (whole & ~mask_of(operand.bytes)) | (value & mask_of(operand.bytes));
    }
  }
  void put(int i, std::uint64_t value) { put(in_.operands[i], value); }

  bool flag(std::uint64_t bit) const { return (cpu_.flags & bit) != 0; }
  void set_flag(std::uint64_t bit, bool on) {
    cpu_.flags = on ? cpu_.flags | bit : cpu_.flags & ~bit;
  }
  void set_result_flags(std::uint64_t result, unsigned bytes) {
    result &= mask_of(bytes);
    set_flag(kZero, result == 0);
    set_flag(kSign, (result & sign_bit(bytes)) != 0);
    set_flag(kParity, std::popcount(result & 0xff) % 2 == 0);
  }
  std::uint64_t add(std::uint64_t a, std::uint64_t b, bool carry, unsigned bytes) {
    const std::uint64_t result = (a + b + (carry ? 1 : 0)) & mask_of(bytes);
    set_flag(kCarry, carry ? result <= a : result < a);
    set_flag(kOverflow, (~(a ^ b) & (a ^ result) & sign_bit(bytes)) != 0);
    set_flag(kAdjust, ((a ^ b ^ result) & 0x10) != 0);
    set_result_flags(result, bytes);
    return result;
  }
  std::uint64_t subtract(std::uint64_t a, std::uint64_t b, bool borrow, unsigned bytes) {
    const std::uint64_t result = (a - b - (borrow ? 1 : 0)) & mask_of(bytes);
    set_flag(kCarry, borrow ? a <= b : a < b);
    set_flag(kOverflow, ((a ^ b) & (a ^ result) & sign_bit(bytes)) != 0);
    set_flag(kAdjust, ((a ^ b ^ result) & 0x10) != 0);
    set_result_flags(result, bytes);
    return result;
  }
  std::uint64_t logic(std::uint64_t result, unsigned bytes) {
    cpu_.flags &= ~static_cast<std::uint64_t>(kCarry | kOverflow | kAdjust);
    set_result_flags(result, bytes);
    return result;
  }
  void push(std::uint64_t value) {
    cpu_.general[kRsp] -= 8;
    bus_.write(cpu_.general[kRsp], 8, value);
  }
  std::uint64_t pop() {
    const std::uint64_t value = bus_.read(cpu_.general[kRsp], 8);
    cpu_.general[kRsp] += 8;
    return value;
  }
  /// The condition that a jcc, setcc or cmovcc tests, from its position among its siblings.
  bool condition(unsigned code) const;
  static int condition_code(std::uint16_t mnemonic);
  Vector get_vector(const Operand& operand, unsigned bytes);
  void put_vector(const Operand& operand, Vector value, unsigned bytes);

  Processor& cpu_;
  Bus& bus_;
  const Instruction& in_;
  const std::uint64_t address_;
  Step outcome_ = Step::kDone;
};

}  // namespace hobbs::step
