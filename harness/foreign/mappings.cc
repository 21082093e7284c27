#include "harness/foreign/mappings.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

namespace hobbs::foreign {
namespace {

/// Devices answer to reads and writes as they like, and not all can be protected.
bool is_memory(std::string_view name) {
  return !name.starts_with("/dev/") || name.starts_with("/dev/shm/") ||
         name.starts_with("/dev/zero");
}

/// A line is "begin-end rw-s offset major:minor inode   name".
struct Line {
  Range range;
  std::string_view rights;
  std::string_view name;  // From the first slash or bracket on.
};

bool parse_line(std::string_view text, Line& line) {
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, line.range.begin, 16);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return false;
  const auto second = std::from_chars(first.ptr + 1, end, line.range.end, 16);
  if (second.ec != std::errc() || end - second.ptr < 5) return false;
  line.rights = std::string_view(second.ptr + 1, 4);
  const std::size_t name = text.find_first_of("/[");
  line.name = name == std::string_view::npos ? std::string_view() : text.substr(name);
  return true;
}

/// Calls `visit` with each line that is one.
template <class Visit>
void for_each_line(std::string_view maps, Visit visit) {
  while (!maps.empty()) {
    const std::size_t end = std::min(maps.find('\n'), maps.size());
    if (Line line; parse_line(maps.substr(0, end), line)) visit(line);
    maps.remove_prefix(std::min(end + 1, maps.size()));
  }
}

}  // namespace

std::vector<Range> shared_ranges(std::string_view maps) {
  std::vector<Range> ranges;
  for_each_line(maps, [&](const Line& line) {
    if (line.rights[0] != 'r' || line.rights[1] != 'w' || line.rights[3] != 's') return;
    if (!is_memory(line.name)) return;
    if (!ranges.empty() && ranges.back().end == line.range.begin) {
      ranges.back().end = line.range.end;
    } else {
      ranges.push_back(line.range);
    }
  });
  return ranges;
}

Range kernel_code(std::string_view maps) {
  Range found;
  for_each_line(maps, [&](const Line& line) {
    if (line.name == "[vdso]") found = line.range;
  });
  return found;
}

std::string maps_of(pid_t process) {
  // An iterator over the file would throw if the process ends meanwhile.
  std::ostringstream maps;
  maps << std::ifstream("/proc/" + std::to_string(process) + "/maps").rdbuf();
  return maps.str();
}

}  // namespace hobbs::foreign
