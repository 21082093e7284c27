// Shifts, bit operations and multiplication.
#include <Zydis/Mnemonic.h>

#include "harness/step/execution.h"

namespace hobbs::step {

bool Execution::run_shift() {
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR: break;
    default: return false;
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
      finish(count < bits ? value >> count : 0, count <= bits && ((value >> (count - 1)) & 1) != 0,
             (value & sign_bit(bytes)) != 0);
      return true;
    case ZYDIS_MNEMONIC_SAR: {
      const std::int64_t number = sign_extend(value, bytes);
      const unsigned by = count < bits ? count : bits - 1;
      finish(static_cast<std::uint64_t>(number >> by) & mask_of(bytes),
             ((number >> (count - 1 < 63 ? count - 1 : 63)) & 1) != 0, false);
      return true;
    }
    default: {  // Rotations touch carry and overflow only.
      const unsigned by =
          in_.mnemonic == ZYDIS_MNEMONIC_ROL ? count % bits : (bits - count % bits) % bits;
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
      const unsigned zeros = value == 0 ? bits
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
    default: return false;
  }
}

/// imul with one operand: the whole product, in rdx and rax.
bool Execution::run_wide_multiply() {
  const unsigned bytes = width();
  if (bytes < 4) return false;
  const __int128 product =
      static_cast<__int128>(sign_extend(cpu_.general[kRax], bytes)) * sign_extend(get(0), bytes);
  cpu_.general[kRax] = static_cast<std::uint64_t>(product) & mask_of(bytes);
  cpu_.general[kRdx] = static_cast<std::uint64_t>(product >> (8 * bytes)) & mask_of(bytes);
  const bool lost = product != sign_extend(cpu_.general[kRax], bytes);
  set_flag(kCarry, lost);
  set_flag(kOverflow, lost);
  return true;
}

/// idiv: quotient in rax, remainder in rdx. Refused where the processor would trap.
bool Execution::run_signed_divide() {
  const unsigned bytes = width();
  if (bytes < 4) return false;
  const auto high = static_cast<__int128>(sign_extend(cpu_.general[kRdx], bytes));
  const __int128 number = (high << (8 * bytes)) | (cpu_.general[kRax] & mask_of(bytes));
  const __int128 divisor = sign_extend(get(0), bytes);
  if (divisor == 0) return false;
  const __int128 quotient = number / divisor;
  if (quotient != sign_extend(static_cast<std::uint64_t>(quotient), bytes)) return false;
  cpu_.general[kRax] = static_cast<std::uint64_t>(quotient) & mask_of(bytes);
  cpu_.general[kRdx] = static_cast<std::uint64_t>(number % divisor) & mask_of(bytes);
  return true;
}

bool Execution::run_multiply() {
  const unsigned bytes = width();
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_IMUL: {
      if (in_.operand_count == 1) return run_wide_multiply();
      if (bytes == 1) return false;
      const int left = in_.operand_count == 3 ? 1 : 0;
      const __int128 product = static_cast<__int128>(sign_extend(get(left), bytes)) *
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
    case ZYDIS_MNEMONIC_IDIV: return run_signed_divide();
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
    default: return false;
  }
}

}  // namespace hobbs::step
