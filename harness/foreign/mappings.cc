#include "harness/foreign/mappings.h"

#include <charconv>
#include <fstream>
#include <iterator>

namespace hobbs::foreign {
namespace {

/// Devices answer to reads and writes as they like, and not all can be protected.
bool is_memory(std::string_view name) {
  return !name.starts_with("/dev/") || name.starts_with("/dev/shm/") ||
         name.starts_with("/dev/zero");
}

/// A line is "begin-end rw-s offset major:minor inode   name".
void add_line(std::string_view line, std::vector<Range>& ranges) {
  Range range;
  const char* const end = line.data() + line.size();
  const auto first = std::from_chars(line.data(), end, range.begin, 16);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return;
  const auto second = std::from_chars(first.ptr + 1, end, range.end, 16);
  if (second.ec != std::errc() || end - second.ptr < 5) return;
  const std::string_view rights(second.ptr + 1, 4);
  if (rights[0] != 'r' || rights[1] != 'w' || rights[3] != 's') return;
  const std::size_t slash = line.find('/', static_cast<std::size_t>(second.ptr - line.data()));
  if (slash != std::string_view::npos && !is_memory(line.substr(slash))) return;
  if (!ranges.empty() && ranges.back().end == range.begin) {
    ranges.back().end = range.end;
  } else {
    ranges.push_back(range);
  }
}

}  // namespace

std::vector<Range> shared_ranges(std::string_view maps) {
  std::vector<Range> ranges;
  while (!maps.empty()) {
    const std::size_t end = std::min(maps.find('\n'), maps.size());
    add_line(maps.substr(0, end), ranges);
    maps.remove_prefix(std::min(end + 1, maps.size()));
  }
  return ranges;
}

std::vector<Range> shared_ranges_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/maps");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return shared_ranges(text);
}

}  // namespace hobbs::foreign
