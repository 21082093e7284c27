#include "harness/step/symbols.h"

#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness/debug_information.h"

namespace hobbs::step {
namespace {

/// libdw's view of this process as it was at the first question.
Dwfl* debug_information() {
  static Dwfl* const instance = debug_information_of(::getpid());
  return instance;
}

Dwfl_Module* module_of(std::uint64_t address) {
  Dwfl* const all = debug_information();
  return all == nullptr ? nullptr : dwfl_addrmodule(all, address);
}

/// As the dynamic linker knows it: exported symbols only.
std::string exported_symbol(std::uint64_t address) {
  Dl_info info{};
  const bool known = ::dladdr(reinterpret_cast<void*>(address), &info) != 0;
  if (known && info.dli_sname != nullptr) {
    return demangled(info.dli_sname) + "+" +
           hexadecimal(address - reinterpret_cast<std::uint64_t>(info.dli_saddr));
  }
  // Stripped: the offset in the file is what a disassembler can be given.
  const char* file = known ? file_name(info.dli_fname) : nullptr;
  return (file != nullptr ? file : "?") + std::string("+") +
         hexadecimal(address - reinterpret_cast<std::uint64_t>(info.dli_fbase));
}

}  // namespace

namespace {

/// The last symbol that was found: a search in a C library's table takes 0.2 ms, and most questions
/// come in runs about the same function.
struct FoundSymbol {
  std::uint64_t begin = 0, size = 0;
  std::string name;
};

}  // namespace

std::string symbol_of(std::uint64_t address) {
  thread_local FoundSymbol last[2];
  for (const FoundSymbol& symbol : last) {
    const std::uint64_t offset = address - symbol.begin;
    if (offset < symbol.size) return symbol.name + "+" + hexadecimal(offset);
  }
  if (Dwfl_Module* const module = module_of(address); module != nullptr) {
    GElf_Off offset = 0;
    GElf_Sym symbol{};
    const char* const name =
        dwfl_module_addrinfo(module, address, &offset, &symbol, nullptr, nullptr, nullptr);
    if (name != nullptr && *name != 0) {
      last[1] = std::move(last[0]);
      last[0] = {address - offset, symbol.st_size, demangled(name)};
      return last[0].name + "+" + hexadecimal(offset);
    }
  }
  return exported_symbol(address);
}

std::uint64_t address_of(const char* name, std::uint64_t near) {
  Dwfl_Module* const module = module_of(near);
  const int count = module == nullptr ? 0 : dwfl_module_getsymtab(module);
  for (int i = 0; i < count; ++i) {
    GElf_Sym symbol{};
    GElf_Addr address = 0;
    const char* const found =
        dwfl_module_getsym_info(module, i, &symbol, &address, nullptr, nullptr, nullptr);
    if (found != nullptr && symbol.st_shndx != SHN_UNDEF && std::strcmp(found, name) == 0) {
      return address;
    }
  }
  return 0;
}

std::string source_of(std::uint64_t address) {
  Dwfl_Module* const module = module_of(address);
  if (module == nullptr) return "";
  Dwfl_Line* const line = dwfl_module_getsrc(module, address);
  if (line == nullptr) return "";
  int number = 0;
  const char* const file = dwfl_lineinfo(line, nullptr, &number, nullptr, nullptr, nullptr);
  if (file == nullptr || number == 0) return "";
  return std::string(file_name(file)) + ":" + std::to_string(number);
}

}  // namespace hobbs::step
