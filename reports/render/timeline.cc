#include "reports/render/timeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/render/words.h"

namespace hobbs {
namespace {

constexpr double kWidth = 1000;
constexpr double kNames = 110;  // Left of the lanes.
constexpr double kLane = 26;
constexpr double kBar = 14;
constexpr double kBarMin = 3;  // Narrower than this cannot be seen.
constexpr double kAxis = 22;

std::string time_words(double ns) {
  if (ns < 1e3) return fmt::format("{:.0f} ns", ns);
  if (ns < 1e6) return fmt::format("{:.1f} us", ns / 1e3);
  if (ns < 1e9) return fmt::format("{:.1f} ms", ns / 1e6);
  return fmt::format("{:.2f} s", ns / 1e9);
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return out;
}

std::string draw_timeline(const std::vector<Moment>& history) {
  std::int64_t begin_ns = INT64_MAX;
  std::int64_t end_ns = INT64_MIN;
  for (const Moment& moment : history) {
    if (moment.from_ns < 0) continue;
    begin_ns = std::min(begin_ns, moment.from_ns);
    end_ns = std::max({end_ns, moment.from_ns, moment.to_ns});
  }
  if (begin_ns > end_ns) return {};
  const auto span_ns = static_cast<double>(std::max<std::int64_t>(1, end_ns - begin_ns));
  const auto x_of = [&](std::int64_t ns) {
    return kNames + (kWidth - kNames - kBarMin) * static_cast<double>(ns - begin_ns) / span_ns;
  };
  const std::vector<std::uint32_t> lanes = lanes_of(history);
  const double height = kLane * static_cast<double>(lanes.size()) + kAxis;
  std::string out = fmt::format(
      "<div class=\"scroll\"><svg viewBox=\"0 0 {} {}\" role=\"img\" width=\"100%\" "
      "aria-label=\"{} workers over {}\">\n",
      kWidth, height, lanes.size(), time_words(span_ns));
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const double middle = kLane * (static_cast<double>(i) + 0.5);
    out += fmt::format(
        "<text x=\"0\" y=\"{}\">{}</text><line class=\"lane\" x1=\"{}\" x2=\"{}\" y1=\"{}\" "
        "y2=\"{}\"/>\n",
        middle + 4, lane_name(lanes[i]), kNames, kWidth, middle, middle);
  }
  for (const Moment& moment : history) {
    if (moment.from_ns < 0) continue;
    const auto lane = std::find(lanes.begin(), lanes.end(), moment.worker) - lanes.begin();
    const double x = x_of(moment.from_ns);
    const double right = moment.to_ns > moment.from_ns ? x_of(moment.to_ns) : x;
    out += fmt::format(
        "<rect class=\"{}\" x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\">"
        "<title>{}</title></rect>\n",
        moment.evidence ? "evidence" : "call", x,
        kLane * static_cast<double>(lane) + (kLane - kBar) / 2, std::max(kBarMin, right - x), kBar,
        html_escaped(moment.text));
  }
  out += fmt::format("<text class=\"axis\" x=\"{}\" y=\"{}\">0</text>", kNames, height - 6);
  out += fmt::format("<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                     kWidth, height - 6, time_words(span_ns));
  return out + "</svg></div>\n";
}

}  // namespace hobbs
