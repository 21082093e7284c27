// String and vector instructions: what compilers use to copy and clear memory.
#include <Zydis/Mnemonic.h>

#include "harness/step/execution.h"

namespace hobbs::step {

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
    const std::uint64_t value =
        copies ? bus_.read(cpu_.general[kRsi], bytes) : cpu_.general[kRax] & mask_of(bytes);
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
    case Operand::Kind::kVector: value = cpu_.vectors[operand.reg]; break;
    case Operand::Kind::kMemory:
      value.low = bus_.read(address_, bytes < 8 ? bytes : 8);
      if (bytes == 16) value.high = bus_.read(address_ + 8, 8);
      break;
    default: value.low = get(operand);
  }
  value.low &= mask_of(bytes);
  if (bytes < 16) value.high = 0;
  return value;
}

void Execution::put_vector(const Operand& operand, Vector value, unsigned bytes) {
  switch (operand.kind) {
    case Operand::Kind::kVector: cpu_.vectors[operand.reg] = value; break;
    case Operand::Kind::kMemory:
      bus_.write(address_, bytes < 8 ? bytes : 8, value.low & mask_of(bytes));
      if (bytes == 16) bus_.write(address_ + 8, 8, value.high);
      break;
    default: put(operand, value.low);
  }
}

bool Execution::run_vector() {
  const Operand& to = in_.operands[0];
  const Operand& from = in_.operands[1];
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVDQA:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_MOVAPD:
    case ZYDIS_MNEMONIC_MOVUPD: put_vector(to, get_vector(from, 16), 16); return true;
    case ZYDIS_MNEMONIC_MOVQ: put_vector(to, get_vector(from, 8), 8); return true;
    case ZYDIS_MNEMONIC_MOVD: put_vector(to, get_vector(from, 4), 4); return true;
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
    case ZYDIS_MNEMONIC_PXOR:
    case ZYDIS_MNEMONIC_XORPS:
    case ZYDIS_MNEMONIC_XORPD:
    case ZYDIS_MNEMONIC_POR:
    case ZYDIS_MNEMONIC_ORPS:
    case ZYDIS_MNEMONIC_PAND:
    case ZYDIS_MNEMONIC_ANDPS: {
      const Vector other = get_vector(from, 16);
      Vector& value = cpu_.vectors[to.reg];
      const bool is_xor = in_.mnemonic == ZYDIS_MNEMONIC_PXOR ||
                          in_.mnemonic == ZYDIS_MNEMONIC_XORPS ||
                          in_.mnemonic == ZYDIS_MNEMONIC_XORPD;
      const bool is_or = in_.mnemonic == ZYDIS_MNEMONIC_POR || in_.mnemonic == ZYDIS_MNEMONIC_ORPS;
      value.low = is_xor  ? value.low ^ other.low
                  : is_or ? value.low | other.low
                          : value.low & other.low;
      value.high = is_xor  ? value.high ^ other.high
                   : is_or ? value.high | other.high
                           : value.high & other.high;
      return true;
    }
    default: return false;
  }
}

}  // namespace hobbs::step
