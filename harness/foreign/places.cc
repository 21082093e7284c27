#include "harness/foreign/places.h"

#include <Zydis/Zydis.h>
#include <elfutils/libdwfl.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness/debug_information.h"
#include "harness/foreign/point.h"
#include "harness/foreign/remote.h"

namespace hobbs::foreign {
namespace {

/// The instruction as an assembler writes it.
std::string instruction_at(pid_t process, std::uint64_t address) {
  std::uint8_t code[ZYDIS_MAX_INSTRUCTION_LENGTH + 1];
  for (std::size_t at = 0; at < sizeof code; at += 8) {
    const std::uint64_t word = word_at(process, address + at);
    std::memcpy(code + at, &word, 8);
  }
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  ZydisDecodedInstruction raw;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  char line[128] = "(not an instruction)";
  if (ZYAN_SUCCESS(
          ZydisDecoderDecodeFull(&decoder, code, ZYDIS_MAX_INSTRUCTION_LENGTH, &raw, operands))) {
    ZydisFormatter formatter;
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterFormatInstruction(&formatter, &raw, operands, raw.operand_count_visible, line,
                                    sizeof line, address, nullptr);
  }
  return line;
}

}  // namespace

Places::Places() = default;

Places::~Places() {
  for (const auto& [process, all] : known_) {
    if (all != nullptr) dwfl_end(all);
  }
}

Dwfl* Places::of(pid_t process) {
  const auto [at, is_new] = known_.try_emplace(process, nullptr);
  if (!is_new) return at->second;
  return at->second = debug_information_of(process);
}

std::string Places::place_of(pid_t process, std::uint64_t address) {
  Dwfl* const all = of(process);
  Dwfl_Module* const module = all == nullptr ? nullptr : dwfl_addrmodule(all, address);
  if (module == nullptr) return hexadecimal(address);
  Dwarf_Addr begin = 0;
  const char* const path =
      dwfl_module_info(module, nullptr, &begin, nullptr, nullptr, nullptr, nullptr, nullptr);
  const char* const file = file_name(path);
  const std::string name = file == nullptr ? "?" : file;
  GElf_Off offset = 0;
  GElf_Sym symbol{};
  const char* const found =
      dwfl_module_addrinfo(module, address, &offset, &symbol, nullptr, nullptr, nullptr);
  if (found == nullptr || *found == 0) return name + "+" + hexadecimal(address - begin);
  return demangled(found) + "+" + hexadecimal(offset) + " of " + name;
}

std::string Places::describe(pid_t process, const Point& point) {
  const std::string place = " at " + place_of(process, point.code);
  if (point.kind == Point::Kind::kMemory) {
    return instruction_at(process, point.code) + place + ", shared memory at " +
           hexadecimal(point.address) + " being " + hexadecimal(point.word);
  }
  std::string what = name_of(point.call.number);
  if (!point.path.empty()) what += " '" + point.path + "'";
  return what + place;
}

}  // namespace hobbs::foreign
