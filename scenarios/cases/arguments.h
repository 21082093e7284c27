// Python's argument syntax, as far as conformance cases use it, turned into JSON for an agent.
//
//     True, timeout=0.2, path='$D/lk'      ->   [true] and {"timeout":0.2,"path":"/tmp/x/lk"}
//
// Literals (numbers, nan, inf, strings, None, True, False, lists, tuples), parentheses and the
// arithmetic + - * / ** << of numbers. Whole numbers are exact to 127 bits, beyond it is an error.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hobbs {

/// Values of `$NAME` in a case, as text.
using CaseVariables = std::map<std::string, std::string>;

/// Arguments as JSON texts. NaN and the infinities are written as Python's json does (NaN,
/// Infinity, -Infinity), since the protocol of agents needs them.
struct Arguments {
  std::vector<std::string> positional;
  std::vector<std::pair<std::string, std::string>> keyword;
  std::string error;  // Empty, or one sentence.

  std::string positional_json() const;  // [true,0.2]
  std::string keyword_json() const;     // {"timeout":0.2}
};

/// Parses what stands between the parentheses of a call. Pure.
Arguments parse_arguments(std::string_view text);

/// Replaces each `$NAME` by the value of the longest variable that fits there. Unknown ones stay,
/// and the first of them is named in `unknown` (when given).
std::string substitute(std::string_view text, const CaseVariables& variables,
                       std::string* unknown = nullptr);

/// A JSON string literal of `text`, quotes included.
std::string json_quote(std::string_view text);

}  // namespace hobbs
