// Known differences: where one agent's locks answer a case otherwise by design (a strict lock that
// keeps a promise which the case shows broken), or break a promise and are known for it.
//
//     # comment
//     cpp SL-19 "A L.release() -> none"
//       The strict lock leaves no phantom hold behind an interrupted acquire.
//
// An entry names the agent, the case (or a glob of cases), the step as it stands in the case, and
// on the next lines, indented, the sentence to tell. It excuses an answer to just that step, and
// nothing else that may go wrong in the case.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hobbs {

struct KnownDifference {
  std::string agent;
  std::string case_id;  // With '*' for any characters.
  std::string step;     // With '*' for any characters.
  std::string sentence;
};

struct DifferenceTable {
  std::vector<KnownDifference> entries;
  std::string error;  // Empty, or one sentence with the line's number.
};

DifferenceTable parse_differences(std::string_view text);

/// The entry that applies, or null.
const KnownDifference* find_difference(const DifferenceTable& table, std::string_view agent,
                                       std::string_view case_id, std::string_view step);

}  // namespace hobbs
