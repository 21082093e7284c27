#include "harness/explore/thread_image.h"

#include <link.h>

#include <cstring>
#include <string_view>

namespace hobbs::explore {

ThreadImage::ThreadImage() {
  const auto visit = [](dl_phdr_info* info, std::size_t size, void* to) {
    if (size < offsetof(dl_phdr_info, dlpi_tls_data) + sizeof info->dlpi_tls_data) return 0;
    const std::string_view name = info->dlpi_name;
    const bool of_system = name.starts_with("/lib") || name.starts_with("/usr/lib");
    if (of_system || info->dlpi_tls_data == nullptr) return 0;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
      static_cast<std::vector<Block>*>(to)->push_back(
          {static_cast<std::byte*>(info->dlpi_tls_data), info->dlpi_phdr[i].p_memsz});
    }
    return 0;
  };
  ::dl_iterate_phdr(visit, &blocks_);
  for (const Block& block : blocks_) bytes_ += block.bytes;
}

void ThreadImage::save(std::byte* to) const {
  for (const Block& block : blocks_) {
    std::memcpy(to, block.at, block.bytes);
    to += block.bytes;
  }
}

void ThreadImage::restore(const std::byte* from) const {
  for (const Block& block : blocks_) {
    std::memcpy(block.at, from, block.bytes);
    from += block.bytes;
  }
}

bool ThreadImage::contains(std::uint64_t address) const {
  for (const Block& block : blocks_) {
    const auto begin = reinterpret_cast<std::uintptr_t>(block.at);
    if (address >= begin && address - begin < block.bytes) return true;
  }
  return false;
}

bool ThreadImage::differs(const std::byte* from) const {
  for (const Block& block : blocks_) {
    if (std::memcmp(block.at, from, block.bytes) != 0) return true;
    from += block.bytes;
  }
  return false;
}

}  // namespace hobbs::explore
