#include "reports/render/lanes.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "reports/render/words.h"

namespace hobbs {
namespace {

constexpr std::size_t kNarrowestLane = 16;
constexpr std::size_t kWidestLane = 44;
constexpr std::size_t kMargin = 2;  // "! " or blanks.
constexpr std::size_t kGap = 2;

/// Breaks at blanks; a word wider than the lane is cut. Widths count bytes: moments are ASCII.
std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (text.size() > width) {
    std::size_t cut = text.rfind(' ', width);
    if (cut == std::string_view::npos || cut == 0) cut = width;
    lines.emplace_back(text.substr(0, cut));
    text.remove_prefix(cut);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  }
  lines.emplace_back(text);
  return lines;
}

std::string words_of(const Moment& moment) {
  return moment.where.empty() ? moment.text : fmt::format("{} [{}]", moment.text, moment.where);
}

/// "     12.345" in microseconds, or nothing where only the order is known.
std::string time_column(const Moment& moment, std::int64_t origin_ns) {
  if (moment.from_ns < 0) return {};
  return fmt::format("{:>11.3f} us", static_cast<double>(moment.from_ns - origin_ns) / 1e3);
}

std::int64_t first_time_ns(const std::vector<Moment>& history) {
  for (const Moment& moment : history) {
    if (moment.from_ns >= 0) return moment.from_ns;
  }
  return -1;
}

void trim_right(std::string& line) { line.resize(line.find_last_not_of(' ') + 1); }

}  // namespace

std::vector<std::string> draw_lanes(const std::vector<Moment>& history, std::size_t width) {
  const std::vector<std::uint32_t> lanes = lanes_of(history);
  if (lanes.empty()) return {};
  const std::int64_t origin_ns = first_time_ns(history);
  const std::size_t time_width = origin_ns < 0 ? 0 : 14 + kGap;
  const std::size_t left = kMargin + time_width;
  const std::size_t room = width > left ? width - left : 0;
  const std::size_t lane_width =
      std::clamp(room / lanes.size(), kNarrowestLane, kWidestLane) - kGap;

  std::vector<std::string> lines;
  std::string header(left, ' ');
  for (const std::uint32_t lane : lanes) {
    header += fmt::format("{:<{}}", lane_name(lane), lane_width + kGap);
  }
  trim_right(header);
  lines.push_back(std::move(header));
  for (const Moment& moment : history) {
    const auto lane = std::find(lanes.begin(), lanes.end(), moment.worker) - lanes.begin();
    const std::size_t indent = static_cast<std::size_t>(lane) * (lane_width + kGap);
    std::string time = origin_ns < 0 ? std::string() : time_column(moment, origin_ns);
    bool first = true;
    for (const std::string& part : wrap(words_of(moment), lane_width)) {
      std::string line = moment.evidence ? "! " : "  ";
      if (time_width != 0) line += fmt::format("{:<{}}", first ? time : "", time_width);
      line += fmt::format("{:{}}{}", "", indent, part);
      trim_right(line);
      lines.push_back(std::move(line));
      first = false;
    }
  }
  return lines;
}

}  // namespace hobbs
