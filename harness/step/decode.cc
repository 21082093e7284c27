#include "harness/step/decode.h"

#include <Zydis/Zydis.h>

#include "harness/step/own_memory.h"
#include "harness/step/symbols.h"

namespace hobbs::step {
namespace {

const ZydisDecoder& decoder() {
  static const ZydisDecoder instance = [] {
    ZydisDecoder made;
    ZydisDecoderInit(&made, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return made;
  }();
  return instance;
}

std::uint8_t general_register(ZydisRegister reg) {
  if (reg == ZYDIS_REGISTER_NONE) return kNoRegister;
  return static_cast<std::uint8_t>(
      ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg)));
}

bool is_high_byte(ZydisRegister reg) {
  return reg == ZYDIS_REGISTER_AH || reg == ZYDIS_REGISTER_CH || reg == ZYDIS_REGISTER_DH ||
         reg == ZYDIS_REGISTER_BH;
}

/// Fills `to`; false for what the modelled processor does not have.
bool convert(const ZydisDecodedOperand& from, std::uint64_t next_address, Operand& to) {
  to.bytes = static_cast<std::uint8_t>(from.size / 8);
  switch (from.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: {
      const ZydisRegisterClass kind = ZydisRegisterGetClass(from.reg.value);
      if (kind == ZYDIS_REGCLASS_XMM) {
        to.kind = Operand::Kind::kVector;
        to.reg = static_cast<std::uint8_t>(ZydisRegisterGetId(from.reg.value));
        return to.reg < 16;
      }
      if (kind < ZYDIS_REGCLASS_GPR8 || kind > ZYDIS_REGCLASS_GPR64) return false;
      to.kind = Operand::Kind::kRegister;
      to.high_byte = is_high_byte(from.reg.value);
      // The high byte registers have numbers of their own: ah is register 0's second byte.
      to.reg = to.high_byte ? static_cast<std::uint8_t>(from.reg.value - ZYDIS_REGISTER_AH)
                            : general_register(from.reg.value);
      return true;
    }
    case ZYDIS_OPERAND_TYPE_MEMORY:
      to.kind = Operand::Kind::kMemory;
      to.value = from.mem.disp.has_displacement ? from.mem.disp.value : 0;
      to.fs = from.mem.segment == ZYDIS_REGISTER_FS;
      if (from.mem.segment == ZYDIS_REGISTER_GS) return false;
      if (from.mem.base == ZYDIS_REGISTER_RIP) {
        to.value += static_cast<std::int64_t>(next_address);
      } else {
        to.base = general_register(from.mem.base);
      }
      to.index = general_register(from.mem.index);
      to.scale = from.mem.scale;
      return true;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      to.kind = Operand::Kind::kImmediate;
      to.value = from.imm.is_relative ? static_cast<std::int64_t>(next_address) + from.imm.value.s
                                      : from.imm.value.s;
      return true;
    default: return false;
  }
}

}  // namespace

const Instruction* Decoder::at(std::uint64_t address) {
  Slot& slot = recent_[address & (recent_.size() - 1)];
  if (slot.address != address) slot = {address, decode(address)};
  return slot.instruction;
}

const Instruction* Decoder::decode(std::uint64_t address) {
  const auto found = decoded_.find(address);
  if (found != decoded_.end()) return found->second.length == 0 ? nullptr : &found->second;
  Instruction& made = decoded_[address];
  ZydisDecodedInstruction raw;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  std::uint8_t code[ZYDIS_MAX_INSTRUCTION_LENGTH];
  const std::size_t bytes =
      has_right(address, kExecutable) ? copy_own(address, code, sizeof code) : 0;
  if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder(), code, bytes, &raw, operands)) ||
      raw.operand_count_visible > 3) {
    return nullptr;
  }
  for (unsigned i = 0; i < raw.operand_count_visible; ++i) {
    // A nop's operand is never read, whatever it is.
    if (raw.mnemonic == ZYDIS_MNEMONIC_NOP) break;
    if (!convert(operands[i], address + raw.length, made.operands[i])) return nullptr;
    made.operand_count = static_cast<std::uint8_t>(i + 1);
    const bool is_address_only = raw.mnemonic == ZYDIS_MNEMONIC_LEA;
    if (made.operands[i].kind == Operand::Kind::kMemory && !is_address_only) {
      made.memory = static_cast<std::int8_t>(i);
      made.writes_memory = (operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    }
  }
  made.mnemonic = raw.mnemonic;
  made.length = raw.length;
  made.locked = (raw.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0 ||
                (raw.mnemonic == ZYDIS_MNEMONIC_XCHG && made.memory >= 0);
  made.is_relative = (raw.attributes & ZYDIS_ATTRIB_IS_RELATIVE) != 0;
  made.is_string = raw.meta.category == ZYDIS_CATEGORY_STRINGOP;
  made.repeated = (raw.attributes &
                   (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
  return &made;
}

std::string Decoder::text(std::uint64_t address) {
  ZydisDecodedInstruction raw;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  char line[128] = "(not an instruction)";
  std::uint8_t code[ZYDIS_MAX_INSTRUCTION_LENGTH];
  const std::size_t bytes = copy_own(address, code, sizeof code);
  if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder(), code, bytes, &raw, operands))) {
    ZydisFormatter formatter;
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterFormatInstruction(&formatter, &raw, operands, raw.operand_count_visible, line,
                                    sizeof line, address, nullptr);
  }
  return symbol_of(address) + ": " + line;
}

}  // namespace hobbs::step
