#include "harness/debug_information.h"

#include <cxxabi.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace hobbs {

Dwfl* debug_information_of(pid_t process) {
  static const Dwfl_Callbacks callbacks{.find_elf = dwfl_linux_proc_find_elf,
                                        .find_debuginfo = dwfl_standard_find_debuginfo,
                                        .section_address = nullptr,
                                        .debuginfo_path = nullptr};
  ::unsetenv("DEBUGINFOD_URLS");  // Else elfutils asks the network for what is not here.
  Dwfl* const made = dwfl_begin(&callbacks);
  if (made == nullptr) return nullptr;
  if (dwfl_linux_proc_report(made, process) == 0 && dwfl_report_end(made, nullptr, nullptr) == 0) {
    return made;
  }
  dwfl_end(made);
  return nullptr;
}

std::string hexadecimal(std::uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

std::string demangled(const char* name) {
  int status = 0;
  char* plain = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string text = status == 0 ? plain : name;
  std::free(plain);
  return text;
}

const char* file_name(const char* path) {
  const char* slash = path == nullptr ? nullptr : std::strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

}  // namespace hobbs
