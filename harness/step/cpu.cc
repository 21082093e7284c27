#include "harness/step/cpu.h"

#include <Zydis/Mnemonic.h>

#include "harness/step/execution.h"

namespace hobbs::step {

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
#define HOBBS_CONDITION(code, suffix) \
  case ZYDIS_MNEMONIC_J##suffix:      \
  case ZYDIS_MNEMONIC_SET##suffix:    \
  case ZYDIS_MNEMONIC_CMOV##suffix: return code;
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
    default: return -1;
  }
}

bool Execution::run_move() {
  switch (in_.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVNTI: put(0, get(1)); return true;
    case ZYDIS_MNEMONIC_MOVZX: put(0, get(in_.operands[1])); return true;
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
      put(0, static_cast<std::uint64_t>(sign_extend(get(in_.operands[1]), in_.operands[1].bytes)));
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
      cpu_.general[kRax] =
          (cpu_.general[kRax] & ~0xffffull) |
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
    default: return false;
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
    default: return false;
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
    case ZYDIS_MNEMONIC_JMP: cpu_.rip = get(in_.operands[0]); return true;
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
    case ZYDIS_MNEMONIC_PREFETCHW: return true;
    case ZYDIS_MNEMONIC_PAUSE: outcome_ = Step::kPause; return true;
    case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_SFENCE: outcome_ = Step::kFence; return true;
    default: return false;
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
    default: return false;
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
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_TEST: return kAdjust;
    case ZYDIS_MNEMONIC_IMUL:
    case ZYDIS_MNEMONIC_MUL: return kSign | kZero | kAdjust | kParity;
    case ZYDIS_MNEMONIC_IDIV:
    case ZYDIS_MNEMONIC_DIV: return kAllFlags;
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC: return kOverflow | kSign | kAdjust | kParity;
    case ZYDIS_MNEMONIC_BSF:
    case ZYDIS_MNEMONIC_BSR: return kCarry | kOverflow | kSign | kAdjust | kParity;
    case ZYDIS_MNEMONIC_TZCNT:
    case ZYDIS_MNEMONIC_LZCNT: return kOverflow | kSign | kAdjust | kParity;
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR: {
      const Operand& by = instruction.operands[1];
      const unsigned bytes = instruction.operands[0].bytes;
      std::uint64_t count = instruction.operand_count == 1 ? 1
                            : by.kind == Operand::Kind::kImmediate
                                ? static_cast<std::uint64_t>(by.value)
                                : before.general[kRcx];
      count &= bytes == 8 ? 63 : 31;
      const bool rotates =
          instruction.mnemonic == ZYDIS_MNEMONIC_ROL || instruction.mnemonic == ZYDIS_MNEMONIC_ROR;
      std::uint64_t undefined = rotates || count == 0 ? 0 : kAdjust;
      if (count > 1) undefined |= kOverflow;
      if (!rotates && count > 8 * bytes - 1) undefined |= kCarry;
      return undefined;
    }
    default: return 0;
  }
}

}  // namespace hobbs::step
