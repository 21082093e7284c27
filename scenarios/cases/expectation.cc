#include "scenarios/cases/expectation.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace hobbs {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Reads one end of a time window; an empty text is an open end.
bool read_seconds(std::string_view text, std::optional<double>& seconds) {
  if (text.empty()) return true;
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < 0)
    return false;
  seconds = value;
  return true;
}

/// Takes " @lo..hi" off the end of `text`; a text that merely contains '@' is left alone.
std::string take_window(std::string_view& text, CallExpectation& expectation) {
  const std::size_t at = text.rfind(" @");
  if (at == std::string_view::npos) return {};
  const std::string_view window = text.substr(at + 2);
  if (window.find_first_not_of("0123456789.") != std::string_view::npos) return {};
  const std::size_t dots = window.find("..");
  if (dots == std::string_view::npos ||
      !read_seconds(window.substr(0, dots), expectation.least_s) ||
      !read_seconds(window.substr(dots + 2), expectation.most_s)) {
    return "'@" + std::string(window) + "' is not a time window such as @0.19..0.6";
  }
  if (expectation.least_s && expectation.most_s && *expectation.least_s > *expectation.most_s) {
    return "the time window '@" + std::string(window) + "' is empty";
  }
  text = trim(text.substr(0, at));
  return {};
}

std::string read_errors(std::string_view text, CallExpectation& expectation) {
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) expectation.message_part = trim(text.substr(colon + 1));
  std::string_view names = trim(text.substr(0, colon));
  while (true) {
    const std::size_t bar = names.find('|');
    const std::string_view name = trim(names.substr(0, bar));
    const auto is_name_char = [](unsigned char c) {
      return std::isalnum(c) || c == '_' || c == '.';
    };
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_char)) {
      return "'!' must be followed by the name of an error, such as !ValueError";
    }
    expectation.errors.emplace_back(name);
    if (bar == std::string_view::npos) return {};
    names.remove_prefix(bar + 1);
  }
}

}  // namespace

CallExpectationParse parse_expectation(std::string_view text) {
  CallExpectationParse parse;
  CallExpectation& expectation = parse.expectation;
  text = trim(text);
  parse.error = take_window(text, expectation);
  if (!parse.error.empty()) return parse;
  if (text.starts_with("maybe ")) {
    expectation.maybe = true;
    text = trim(text.substr(6));
  }
  if (text == "~") {
    expectation.kind = CallExpectation::Kind::kAnything;
  } else if (text == "blocks") {
    expectation.kind = CallExpectation::Kind::kBlocks;
    if (expectation.maybe) parse.error = "'maybe blocks' says nothing";
    if (expectation.least_s || expectation.most_s) parse.error = "'blocks' takes no time window";
  } else if (text.starts_with('!')) {
    expectation.kind = CallExpectation::Kind::kError;
    parse.error = read_errors(text.substr(1), expectation);
  } else {
    expectation.kind = CallExpectation::Kind::kJson;
    expectation.json = text == "none" ? "null" : std::string(text);
    if (!nlohmann::json::accept(expectation.json)) {
      parse.error = text.empty() ? "an expectation is missing after '->'"
                                 : "'" + std::string(text) +
                                       "' is no expectation: true, false, none, JSON, !Error, "
                                       "blocks, maybe X or ~";
    }
  }
  return parse;
}

bool fits(const CallExpectation& expectation, const CallReply& reply) {
  switch (expectation.kind) {
    case CallExpectation::Kind::kAnything: return true;
    case CallExpectation::Kind::kBlocks: return false;
    case CallExpectation::Kind::kError:
      return std::find(expectation.errors.begin(), expectation.errors.end(), reply.error) !=
                 expectation.errors.end() &&
             reply.message.find(expectation.message_part) != std::string::npos;
    case CallExpectation::Kind::kJson:
      return reply.error.empty() && nlohmann::json::parse(expectation.json) ==
                                        nlohmann::json::parse(reply.result_json, nullptr, false);
  }
  return false;
}

bool fits(const CallExpectation& expectation, const CallAnswer& answer) {
  if (!answer.blocks) return fits(expectation, answer.reply);
  return expectation.maybe || expectation.kind == CallExpectation::Kind::kBlocks;
}

std::string describe(const CallReply& reply) {
  if (reply.error.empty()) return reply.result_json == "null" ? "none" : reply.result_json;
  return reply.message.empty() ? "!" + reply.error : "!" + reply.error + ": " + reply.message;
}

}  // namespace hobbs
