#include "harness/explore/static_image.h"

#include <link.h>

#include <cstring>
#include <string_view>

namespace hobbs::explore {

StaticImage::StaticImage() {
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
  ::dl_iterate_phdr(visit, &blocks_);
}

void StaticImage::look() {
  const bool first = seen_.empty();
  std::size_t end = 0;
  for (const Block& block : blocks_) end += block.bytes;
  seen_.resize(end);
  std::byte* seen = seen_.data();
  for (const Block& block : blocks_) {
    if (!first && std::memcmp(seen, block.at, block.bytes) != 0) changed_ = true;
    std::memcpy(seen, block.at, block.bytes);
    seen += block.bytes;
  }
}

}  // namespace hobbs::explore
