#include "scenarios/cases/differences.h"

#include <cctype>

namespace hobbs {
namespace {

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/// '*' stands for any characters, everything else for itself: a step is full of brackets.
bool matches(std::string_view pattern, std::string_view text) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (text.substr(0, star) != pattern.substr(0, star)) return false;
  text.remove_prefix(star);
  pattern.remove_prefix(star + 1);
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (matches(pattern, text.substr(i))) return true;
  }
  return false;
}

constexpr const char* kForm = "write: AGENT CASE \"STEP\" gives \"ANSWER\"";

/// Reads an entry's first line; an error, or nothing.
std::string read_entry(std::string_view line, KnownDifference& entry) {
  constexpr std::string_view kGives = "\" gives \"";
  const std::size_t first = line.find(' ');
  const std::size_t second = line.find(" \"", first + 1);
  const std::size_t third = line.rfind(kGives);
  if (first == std::string_view::npos || second == std::string_view::npos ||
      third == std::string_view::npos || third < second + 2 || line.back() != '"' ||
      line.size() <= third + kGives.size()) {
    return kForm;
  }
  entry.agent = line.substr(0, first);
  entry.case_id = trim(line.substr(first, second - first));
  entry.step = line.substr(second + 2, third - second - 2);
  if (entry.case_id.empty() || entry.case_id.find(' ') != std::string::npos) return kForm;
  const std::size_t answer = third + kGives.size();
  CallExpectationParse parse = parse_expectation(line.substr(answer, line.size() - answer - 1));
  entry.instead = std::move(parse.expectation);
  return parse.error;
}

}  // namespace

DifferenceTable parse_differences(std::string_view text) {
  DifferenceTable table;
  int number = 0;
  const auto fail = [&](const std::string& why) {
    table.entries.clear();
    table.error = "line " + std::to_string(number) + ": " + why;
    return table;
  };
  while (!text.empty()) {
    ++number;
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() == text.size() ? line.size() : line.size() + 1);
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#') continue;
    if (std::isspace(static_cast<unsigned char>(line.front())) != 0) {
      if (table.entries.empty()) return fail("a sentence stands before the first difference");
      std::string& sentence = table.entries.back().sentence;
      if (!sentence.empty()) sentence += ' ';
      sentence += content;
    } else {
      if (!table.entries.empty() && table.entries.back().sentence.empty()) {
        return fail("the difference before this line has no sentence");
      }
      KnownDifference entry;
      if (const std::string why = read_entry(content, entry); !why.empty()) return fail(why);
      table.entries.push_back(std::move(entry));
    }
  }
  if (!table.entries.empty() && table.entries.back().sentence.empty()) {
    return fail("the last difference has no sentence");
  }
  return table;
}

bool is_about(const KnownDifference& entry, std::string_view agent, std::string_view case_id,
              std::string_view step) {
  return entry.agent == agent && matches(entry.case_id, case_id) && matches(entry.step, step);
}

const KnownDifference* find_difference(const DifferenceTable& table, std::string_view agent,
                                       std::string_view case_id, std::string_view step,
                                       const CallAnswer& answer) {
  for (const KnownDifference& entry : table.entries) {
    if (is_about(entry, agent, case_id, step) && fits(entry.instead, answer)) return &entry;
  }
  return nullptr;
}

}  // namespace hobbs
