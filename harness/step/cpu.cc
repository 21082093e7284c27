#include "harness/step/cpu.h"

#include <Zydis/Mnemonic.h>

#include <bit>

namespace hobbs::step {
namespace {

std::uint64_t mask_of(unsigned bytes) { return bytes >= 8 ? ~0ull : (1ull << (8 * bytes)) - 1; }
std::uint64_t sign_bit(unsigned bytes) { return 1ull << (8 * bytes - 1); }

std::int64_t sign_extend(std::uint64_t value, unsigned bytes) {
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
      case Operand::Kind::kMemory:
        return bus_.read(address_, operand.bytes);
      case Operand::Kind::kImmediate:
        return static_cast<std::uint64_t>(operand.value);
      default:
        return 0;
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

bool Execution::condition(unsigned code) const {
  bool truth = false;
  switch (code / 2) {
    case 0: truth = flag(kOverflow); break;
    case 1: truth = flag(kCarry); break;
    case 2: truth = flag(kZero); break;
    case 3: truth = flag(kCarry) || flag(kZero); break;
    case 4: truth = flag(kSign); break;
    case 5: truth = flag(kParity); break;
    case 6: truth = flag(kSign) != flag(kOverflow); break;
    case 7: truth = flag(kZero) || flag(kSign) != flag(kOverflow); break;
  }
  return (code & 1) != 0 ? !truth : truth;
}

/// The four condition bits of the encoding; -1 if the mnemonic has no condition.
int Execution::condition_code(std::uint16_t mnemonic) {
  switch (mnemonic) {
#define HOBBS_CONDITION(code, suffix)  \
  case ZYDIS_MNEMONIC_J##suffix:       \
  case ZYDIS_MNEMONIC_SET##suffix:     \
  case ZYDIS_MNEMONIC_CMOV##suffix:    \
    return code;
    HOBBS_CONDITION(0, O)
    HOBBS_CONDITION(1, NO)
    HOBBS_CONDITION(2, B)
    HOBBS_CONDITION(3, NB)
    HOBBS_CONDITION(4, Z)
    HOBBS_CONDITION(5, NZ)
    HOBBS_CONDITION(6, BE)
    HOBBS_CONDITION(7, NBE)
    HOBBS_CONDITION(8, S)
    HOBBS_CONDITION(9, NS)
    HOBBS_CONDITION(10, P)
    HOBBS_CONDITION(11, NP)
    HOBBS_CONDITION(12, L)
    HOBBS_CONDITION(13, NL)
    HOBBS_CONDITION(14, LE)
    HOBBS_CONDITION(15, NLE)
#undef HOBBS_CONDITION
    default:
      return -1;
  }
}

bool Execution::run_move() {
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVNTI:
      put(0, get(1));
      return true;
    case ZYDIS_MNEMONIC_MOVZX:
      put(0, get(in_.operands[1]));
      return true;
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
      put(0, static_cast<std::uint64_t>(
                 sign_extend(get(in_.operands[1]), in_.operands[1].bytes)));
      return true;
    case ZYDIS_MNEMONIC_LEA: {
      Instruction as_memory = in_;
      as_memory.memory = 1;
      put(0, effective_address(cpu_, as_memory) - (in_.operands[1].fs ? cpu_.fs_base : 0));
      return true;
    }
    case ZYDIS_MNEMONIC_XCHG: {
      const std::uint64_t first = get(0), second = get(1);
      put(0, second);
      put(1, first);
      return true;
    }
    case ZYDIS_MNEMONIC_PUSH:
      push(in_.operands[0].kind == Operand::Kind::kImmediate
               ? static_cast<std::uint64_t>(in_.operands[0].value)
               : get(in_.operands[0]));
      return true;
    case ZYDIS_MNEMONIC_POP: {
      const std::uint64_t value = pop();
      put(0, value);
      return true;
    }
    case ZYDIS_MNEMONIC_LEAVE:
      cpu_.general[kRsp] = cpu_.general[kRbp];
      cpu_.general[kRbp] = pop();
      return true;
    case ZYDIS_MNEMONIC_CBW:
      cpu_.general[kRax] = (cpu_.general[kRax] & ~0xffffull) |
                           (static_cast<std::uint64_t>(sign_extend(cpu_.general[kRax], 1)) & 0xffff);
      return true;
    case ZYDIS_MNEMONIC_CWDE:
      cpu_.general[kRax] =
          static_cast<std::uint64_t>(sign_extend(cpu_.general[kRax], 2)) & mask_of(4);
      return true;
    case ZYDIS_MNEMONIC_CDQE:
      cpu_.general[kRax] = static_cast<std::uint64_t>(sign_extend(cpu_.general[kRax], 4));
      return true;
    case ZYDIS_MNEMONIC_CDQ:
      cpu_.general[kRdx] = sign_extend(cpu_.general[kRax], 4) < 0 ? mask_of(4) : 0;
      return true;
    case ZYDIS_MNEMONIC_CQO:
      cpu_.general[kRdx] = static_cast<std::int64_t>(cpu_.general[kRax]) < 0 ? ~0ull : 0;
      return true;
    default:
      return false;
  }
}

bool Execution::run_arithmetic() {
  const unsigned bytes = width();
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_ADD: put(0, add(get(0), get(1), false, bytes)); return true;
    case ZYDIS_MNEMONIC_ADC: put(0, add(get(0), get(1), flag(kCarry), bytes)); return true;
    case ZYDIS_MNEMONIC_SUB: put(0, subtract(get(0), get(1), false, bytes)); return true;
    case ZYDIS_MNEMONIC_SBB: put(0, subtract(get(0), get(1), flag(kCarry), bytes)); return true;
    case ZYDIS_MNEMONIC_CMP: subtract(get(0), get(1), false, bytes); return true;
    case ZYDIS_MNEMONIC_AND: put(0, logic(get(0) & get(1), bytes)); return true;
    case ZYDIS_MNEMONIC_OR: put(0, logic(get(0) | get(1), bytes)); return true;
    case ZYDIS_MNEMONIC_XOR: put(0, logic(get(0) ^ get(1), bytes)); return true;
    case ZYDIS_MNEMONIC_TEST: logic(get(0) & get(1), bytes); return true;
    case ZYDIS_MNEMONIC_NOT: put(0, ~get(0)); return true;
    case ZYDIS_MNEMONIC_NEG: {
      const std::uint64_t value = get(0);
      put(0, subtract(0, value, false, bytes));
      return true;
    }
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC: {
      const bool carry = flag(kCarry);  // These two leave it alone.
      const std::uint64_t value = get(0);
      put(0, in_.mnemonic == ZYDIS_MNEMONIC_INC ? add(value, 1, false, bytes)
                                                : subtract(value, 1, false, bytes));
      set_flag(kCarry, carry);
      return true;
    }
    default:
      return false;
  }
}

bool Execution::run_shift() {
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
      break;
    default:
      return false;
  }
  const unsigned bytes = width(), bits = 8 * bytes;
  const std::uint64_t by_operand = in_.operand_count == 1 ? 1 : get(in_.operands[1]);
  const unsigned count = static_cast<unsigned>(by_operand & (bytes == 8 ? 63 : 31));
  const std::uint64_t value = get(0);
  const auto finish = [&](std::uint64_t result, bool carry, bool overflow) {
    set_flag(kCarry, carry);
    set_flag(kOverflow, overflow);
    set_result_flags(result, bytes);
    put(0, result);
  };
  if (count == 0) {
    if (bytes == 4) put(0, value);  // Clears the upper half all the same.
    return true;
  }
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_SHL: {
      const std::uint64_t result = (count < bits ? value << count : 0) & mask_of(bytes);
      const bool carry = count <= bits && ((value >> (bits - count)) & 1) != 0;
      finish(result, carry, ((result & sign_bit(bytes)) != 0) != carry);
      return true;
    }
    case ZYDIS_MNEMONIC_SHR:
      finish(count < bits ? value >> count : 0,
              count <= bits && ((value >> (count - 1)) & 1) != 0, (value & sign_bit(bytes)) != 0);
      return true;
    case ZYDIS_MNEMONIC_SAR: {
      const std::int64_t number = sign_extend(value, bytes);
      const unsigned by = count < bits ? count : bits - 1;
      finish(static_cast<std::uint64_t>(number >> by) & mask_of(bytes),
              ((number >> (count - 1 < 63 ? count - 1 : 63)) & 1) != 0, false);
      return true;
    }
    default: {  // Rotations touch carry and overflow only.
      const unsigned by = in_.mnemonic == ZYDIS_MNEMONIC_ROL ? count % bits
                                                             : (bits - count % bits) % bits;
      const std::uint64_t result =
          (by == 0 ? value : (value << by) | (value >> (bits - by))) & mask_of(bytes);
      const bool top = (result & sign_bit(bytes)) != 0;
      const bool carry = in_.mnemonic == ZYDIS_MNEMONIC_ROL ? (result & 1) != 0 : top;
      set_flag(kCarry, carry);
      set_flag(kOverflow, in_.mnemonic == ZYDIS_MNEMONIC_ROL
                              ? top != carry
                              : top != ((result & (sign_bit(bytes) >> 1)) != 0));
      put(0, result);
      return true;
    }
  }
}

bool Execution::run_bits() {
  const unsigned bytes = width(), bits = 8 * bytes;
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC: {
      const bool in_memory = in_.operands[0].kind == Operand::Kind::kMemory;
      if (in_memory && in_.operands[1].kind == Operand::Kind::kRegister) return false;
      const std::uint64_t value = get(0);
      const std::uint64_t bit = 1ull << (get(in_.operands[1]) % bits);
      set_flag(kCarry, (value & bit) != 0);
      if (in_.mnemonic == ZYDIS_MNEMONIC_BTS) put(0, value | bit);
      if (in_.mnemonic == ZYDIS_MNEMONIC_BTR) put(0, value & ~bit);
      if (in_.mnemonic == ZYDIS_MNEMONIC_BTC) put(0, value ^ bit);
      return true;
    }
    case ZYDIS_MNEMONIC_BSF:
    case ZYDIS_MNEMONIC_BSR: {
      const std::uint64_t value = get(1);
      set_flag(kZero, value == 0);
      if (value == 0) return true;  // The destination keeps its value.
      put(0, in_.mnemonic == ZYDIS_MNEMONIC_BSF ? std::countr_zero(value)
                                                : 63 - std::countl_zero(value));
      return true;
    }
    case ZYDIS_MNEMONIC_TZCNT:
    case ZYDIS_MNEMONIC_LZCNT: {
      const std::uint64_t value = get(1);
      const unsigned zeros =
          value == 0 ? bits
          : in_.mnemonic == ZYDIS_MNEMONIC_TZCNT
              ? static_cast<unsigned>(std::countr_zero(value))
              : static_cast<unsigned>(std::countl_zero(value)) - (64 - bits);
      set_flag(kCarry, value == 0);
      set_flag(kZero, zeros == 0);
      put(0, zeros);
      return true;
    }
    case ZYDIS_MNEMONIC_POPCNT: {
      const std::uint64_t value = get(1);
      cpu_.flags &= ~static_cast<std::uint64_t>(kAllFlags);
      set_flag(kZero, value == 0);
      put(0, static_cast<std::uint64_t>(std::popcount(value)));
      return true;
    }
    case ZYDIS_MNEMONIC_BSWAP:
      put(0, bytes == 8 ? __builtin_bswap64(get(0))
                        : __builtin_bswap32(static_cast<std::uint32_t>(get(0))));
      return true;
    default:
      return false;
  }
}

bool Execution::run_multiply() {
  const unsigned bytes = width();
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_IMUL: {
      if (in_.operand_count < 2 || bytes == 1) return false;
      const int left = in_.operand_count == 3 ? 1 : 0;
      const __int128 product =
          static_cast<__int128>(sign_extend(get(left), bytes)) *
          sign_extend(get(in_.operands[left + 1]) & mask_of(bytes), bytes);
      const std::uint64_t result = static_cast<std::uint64_t>(product) & mask_of(bytes);
      const bool lost = product != sign_extend(result, bytes);
      set_flag(kCarry, lost);
      set_flag(kOverflow, lost);
      put(0, result);
      return true;
    }
    case ZYDIS_MNEMONIC_MUL: {
      if (bytes < 4) return false;
      const unsigned __int128 product =
          static_cast<unsigned __int128>(cpu_.general[kRax] & mask_of(bytes)) * get(0);
      const std::uint64_t high =
          static_cast<std::uint64_t>(product >> (8 * bytes)) & mask_of(bytes);
      cpu_.general[kRax] = static_cast<std::uint64_t>(product) & mask_of(bytes);
      cpu_.general[kRdx] = high;
      set_flag(kCarry, high != 0);
      set_flag(kOverflow, high != 0);
      return true;
    }
    case ZYDIS_MNEMONIC_DIV: {
      if (bytes < 4) return false;
      const unsigned __int128 number =
          (static_cast<unsigned __int128>(cpu_.general[kRdx] & mask_of(bytes)) << (8 * bytes)) |
          (cpu_.general[kRax] & mask_of(bytes));
      const std::uint64_t divisor = get(0);
      if (divisor == 0 || number / divisor > mask_of(bytes)) return false;
      cpu_.general[kRax] = static_cast<std::uint64_t>(number / divisor);
      cpu_.general[kRdx] = static_cast<std::uint64_t>(number % divisor);
      return true;
    }
    default:
      return false;
  }
}

bool Execution::run_control() {
  const int code = condition_code(in_.mnemonic);
  if (code >= 0) {
    const bool truth = condition(static_cast<unsigned>(code));
    if (in_.operand_count == 2) {  // cmovcc: a 32-bit one clears the upper half even if not taken.
      const std::uint64_t value = get(1);
      if (truth || width() == 4) put(0, truth ? value : get(0));
    } else if (in_.operands[0].kind == Operand::Kind::kImmediate) {
      if (truth) cpu_.rip = static_cast<std::uint64_t>(in_.operands[0].value);
    } else {
      put(0, truth ? 1 : 0);
    }
    return true;
  }
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_JMP:
      cpu_.rip = get(in_.operands[0]);
      return true;
    case ZYDIS_MNEMONIC_CALL: {
      const std::uint64_t target = get(in_.operands[0]);
      push(cpu_.rip);
      cpu_.rip = target;
      return true;
    }
    case ZYDIS_MNEMONIC_RET:
      cpu_.rip = pop();
      if (in_.operand_count == 1) {
        cpu_.general[kRsp] += static_cast<std::uint64_t>(in_.operands[0].value);
      }
      return true;
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_ENDBR64:
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHW:
      return true;
    case ZYDIS_MNEMONIC_PAUSE:
      outcome_ = Step::kPause;
      return true;
    case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_SFENCE:
      outcome_ = Step::kFence;
      return true;
    default:
      return false;
  }
}

bool Execution::run_atomic() {
  const unsigned bytes = width();
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_CMPXCHG: {
      const std::uint64_t seen = get(0), expected = cpu_.general[kRax] & mask_of(bytes);
      subtract(expected, seen, false, bytes);
      if (seen == expected) {
        put(0, get(1));
      } else {
        Operand accumulator;
        accumulator.kind = Operand::Kind::kRegister;
        accumulator.bytes = static_cast<std::uint8_t>(bytes);
        accumulator.reg = kRax;
        put(accumulator, seen);
      }
      return true;
    }
    case ZYDIS_MNEMONIC_XADD: {
      const std::uint64_t old = get(0), delta = get(1);
      const std::uint64_t sum = add(old, delta, false, bytes);
      put(1, old);
      put(0, sum);
      return true;
    }
    default:
      return false;
  }
}

bool Execution::run_string() {
  unsigned bytes = 0;
  bool copies = false;
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_STOSB: bytes = 1; break;
    case ZYDIS_MNEMONIC_STOSD: bytes = 4; break;
    case ZYDIS_MNEMONIC_STOSQ: bytes = 8; break;
    case ZYDIS_MNEMONIC_MOVSB: bytes = 1, copies = true; break;
    case ZYDIS_MNEMONIC_MOVSQ: bytes = 8, copies = true; break;
    default: return false;
  }
  std::uint64_t count = in_.repeated ? cpu_.general[kRcx] : 1;
  for (; count > 0; --count) {
    const std::uint64_t value = copies ? bus_.read(cpu_.general[kRsi], bytes)
                                       : cpu_.general[kRax] & mask_of(bytes);
    bus_.write(cpu_.general[kRdi], bytes, value);
    cpu_.general[kRdi] += bytes;
    if (copies) cpu_.general[kRsi] += bytes;
  }
  if (in_.repeated) cpu_.general[kRcx] = 0;
  return true;
}

Vector Execution::get_vector(const Operand& operand, unsigned bytes) {
  Vector value;
  switch (operand.kind) {
    case Operand::Kind::kVector:
      value = cpu_.vectors[operand.reg];
      break;
    case Operand::Kind::kMemory:
      value.low = bus_.read(address_, bytes < 8 ? bytes : 8);
      if (bytes == 16) value.high = bus_.read(address_ + 8, 8);
      break;
    default:
      value.low = get(operand);
  }
  value.low &= mask_of(bytes);
  if (bytes < 16) value.high = 0;
  return value;
}

void Execution::put_vector(const Operand& operand, Vector value, unsigned bytes) {
  switch (operand.kind) {
    case Operand::Kind::kVector:
      cpu_.vectors[operand.reg] = value;
      break;
    case Operand::Kind::kMemory:
      bus_.write(address_, bytes < 8 ? bytes : 8, value.low & mask_of(bytes));
      if (bytes == 16) bus_.write(address_ + 8, 8, value.high);
      break;
    default:
      put(operand, value.low);
  }
}

bool Execution::run_vector() {
  const Operand& to = in_.operands[0];
  const Operand& from = in_.operands[1];
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_MOVAPS: case ZYDIS_MNEMONIC_MOVUPS: case ZYDIS_MNEMONIC_MOVDQA:
    case ZYDIS_MNEMONIC_MOVDQU: case ZYDIS_MNEMONIC_MOVAPD: case ZYDIS_MNEMONIC_MOVUPD:
      put_vector(to, get_vector(from, 16), 16);
      return true;
    case ZYDIS_MNEMONIC_MOVQ:
      put_vector(to, get_vector(from, 8), 8);
      return true;
    case ZYDIS_MNEMONIC_MOVD:
      put_vector(to, get_vector(from, 4), 4);
      return true;
    case ZYDIS_MNEMONIC_MOVHPS:
      if (to.kind == Operand::Kind::kVector) {
        cpu_.vectors[to.reg].high = get_vector(from, 8).low;
      } else {
        put_vector(to, {cpu_.vectors[from.reg].high, 0}, 8);
      }
      return true;
    case ZYDIS_MNEMONIC_PUNPCKLQDQ:
      cpu_.vectors[to.reg].high = get_vector(from, 16).low;
      return true;
    case ZYDIS_MNEMONIC_PXOR: case ZYDIS_MNEMONIC_XORPS: case ZYDIS_MNEMONIC_XORPD:
    case ZYDIS_MNEMONIC_POR: case ZYDIS_MNEMONIC_ORPS:
    case ZYDIS_MNEMONIC_PAND: case ZYDIS_MNEMONIC_ANDPS: {
      const Vector other = get_vector(from, 16);
      Vector& value = cpu_.vectors[to.reg];
      const bool is_xor = in_.mnemonic == ZYDIS_MNEMONIC_PXOR ||
                          in_.mnemonic == ZYDIS_MNEMONIC_XORPS ||
                          in_.mnemonic == ZYDIS_MNEMONIC_XORPD;
      const bool is_or =
          in_.mnemonic == ZYDIS_MNEMONIC_POR || in_.mnemonic == ZYDIS_MNEMONIC_ORPS;
      value.low = is_xor ? value.low ^ other.low : is_or ? value.low | other.low
                                                         : value.low & other.low;
      value.high = is_xor ? value.high ^ other.high : is_or ? value.high | other.high
                                                            : value.high & other.high;
      return true;
    }
    default:
      return false;
  }
}

bool Execution::run_group(std::uint8_t group) {
  switch (group) {
    case 1: return run_move();
    case 2: return run_arithmetic();
    case 3: return run_control();
    case 4: return run_atomic();
    case 5: return run_shift();
    case 6: return run_bits();
    case 7: return run_multiply();
    case 8: return run_string();
    default: return run_vector();
  }
}

Step Execution::run() {
  if (in_.mnemonic == ZYDIS_MNEMONIC_SYSCALL) return Step::kSyscall;
  const std::uint64_t start = cpu_.rip;
  cpu_.rip += in_.length;
  if (in_.group != 0) {  // Found on an earlier execution.
    if (run_group(in_.group)) return outcome_;
  } else {
    for (std::uint8_t group = 1; group <= kGroups; ++group) {
      if (!run_group(group)) continue;
      in_.group = group;
      return outcome_;
    }
  }
  cpu_.rip = start;
  return Step::kUnknown;
}

}  // namespace

std::uint64_t effective_address(const Processor& cpu, const Instruction& instruction) {
  if (instruction.memory < 0) return 0;
  const Operand& operand = instruction.operands[instruction.memory];
  std::uint64_t address = static_cast<std::uint64_t>(operand.value);
  if (operand.base != kNoRegister) address += cpu.general[operand.base];
  if (operand.index != kNoRegister) address += cpu.general[operand.index] * operand.scale;
  return operand.fs ? address + cpu.fs_base : address;
}

Step execute(Processor& cpu, Bus& bus, const Instruction& instruction) {
  return Execution(cpu, bus, instruction).run();
}

std::uint64_t undefined_flags(const Processor& before, const Instruction& instruction) {
  switch (instruction.mnemonic) {
    case ZYDIS_MNEMONIC_AND: case ZYDIS_MNEMONIC_OR: case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_TEST:
      return kAdjust;
    case ZYDIS_MNEMONIC_IMUL: case ZYDIS_MNEMONIC_MUL:
      return kSign | kZero | kAdjust | kParity;
    case ZYDIS_MNEMONIC_DIV:
      return kAllFlags;
    case ZYDIS_MNEMONIC_BT: case ZYDIS_MNEMONIC_BTS: case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
      return kOverflow | kSign | kAdjust | kParity;
    case ZYDIS_MNEMONIC_BSF: case ZYDIS_MNEMONIC_BSR:
      return kCarry | kOverflow | kSign | kAdjust | kParity;
    case ZYDIS_MNEMONIC_TZCNT: case ZYDIS_MNEMONIC_LZCNT:
      return kOverflow | kSign | kAdjust | kParity;
    case ZYDIS_MNEMONIC_SHL: case ZYDIS_MNEMONIC_SHR: case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL: case ZYDIS_MNEMONIC_ROR: {
      const Operand& by = instruction.operands[1];
      const unsigned bytes = instruction.operands[0].bytes;
      std::uint64_t count = instruction.operand_count == 1 ? 1
                            : by.kind == Operand::Kind::kImmediate
                                ? static_cast<std::uint64_t>(by.value)
                                : before.general[kRcx];
      count &= bytes == 8 ? 63 : 31;
      const bool rotates = instruction.mnemonic == ZYDIS_MNEMONIC_ROL ||
                           instruction.mnemonic == ZYDIS_MNEMONIC_ROR;
      std::uint64_t undefined = rotates || count == 0 ? 0 : kAdjust;
      if (count > 1) undefined |= kOverflow;
      if (!rotates && count > 8 * bytes - 1) undefined |= kCarry;
      return undefined;
    }
    default:
      return 0;
  }
}

}  // namespace hobbs::step
