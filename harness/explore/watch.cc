#include "harness/explore/watch.h"

#include <link.h>

#include <cstring>
#include <string_view>

namespace hobbs::explore {

Watch::Watch() {
  const auto visit = [](dl_phdr_info* info, std::size_t, void* to) {
    const std::string_view name = info->dlpi_name;
    if (name.starts_with("/lib") || name.starts_with("/usr/lib") || name.starts_with("linux-vdso"))
      return 0;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = info->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) == 0) continue;
      static_cast<std::vector<Block>*>(to)->push_back(
          {reinterpret_cast<const std::byte*>(info->dlpi_addr + segment.p_vaddr), segment.p_memsz});
    }
    return 0;
  };
  ::dl_iterate_phdr(visit, &statics_);
}

void Watch::look(std::uint64_t value) {
  const bool first = seen_.empty();
  std::size_t end = 0;
  for (const Block& block : statics_) end += block.bytes;
  seen_.resize(end);
  std::byte* seen = seen_.data();
  for (const Block& block : statics_) {
    if (!first && std::memcmp(seen, block.at, block.bytes) != 0) statics_changed_ = true;
    std::memcpy(seen, block.at, block.bytes);
    seen += block.bytes;
  }
  knows_thread_by_address_ |= thread_.contains(value);
  for (std::size_t at = 0; at + sizeof value <= locks_.size(); at += sizeof value) {
    std::memcpy(&value, locks_.data() + at, sizeof value);
    knows_thread_by_address_ |= thread_.contains(value);
  }
}

}  // namespace hobbs::explore
