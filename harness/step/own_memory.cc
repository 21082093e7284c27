#include "harness/step/own_memory.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace hobbs::step {
namespace {

constexpr std::size_t kPage = 4096;

struct Mapping {
  std::uint64_t from = 0, to = 0;
  unsigned rights = 0;
};

std::vector<Mapping> read_mappings() {
  std::vector<Mapping> list;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping;
    char rights[8] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &mapping.from, &mapping.to, rights) != 3) continue;
    if (rights[0] == 'r') mapping.rights |= kReadable;
    if (rights[1] == 'w') mapping.rights |= kWritable;
    if (rights[2] == 'x') mapping.rights |= kExecutable;
    list.push_back(mapping);
  }
  return list;
}

bool is_among(const std::vector<Mapping>& list, std::uint64_t address, Rights right) {
  const auto at =
      std::upper_bound(list.begin(), list.end(), address,
                       [](std::uint64_t wanted, const Mapping& one) { return wanted < one.to; });
  return at != list.end() && at->from <= address && (at->rights & right) != 0;
}

}  // namespace

bool has_right(std::uint64_t address, Rights right) {
  static std::vector<Mapping> known;
  if (is_among(known, address, right)) return true;
  known = read_mappings();  // It may be newer than the list.
  return is_among(known, address, right);
}

std::size_t copy_own(std::uint64_t from, void* to, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t part = std::min(bytes - done, kPage - (from + done) % kPage);
    // The system call reports an unmapped page where a plain read would end the process.
    const iovec local{static_cast<char*>(to) + done, part};
    const iovec remote{reinterpret_cast<void*>(from + done), part};
    if (::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) != static_cast<ssize_t>(part)) {
      return done;
    }
    done += part;
  }
  return bytes;
}

}  // namespace hobbs::step
