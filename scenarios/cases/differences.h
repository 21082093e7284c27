// Known differences: where one agent's locks answer a case otherwise by design (a strict lock that
// keeps a promise which the case shows broken), or break a promise and are known for it.
//
//     # comment
//     cpp SL-19 "A L.release() -> none" gives "blocks"
//       The strict lock leaves no phantom hold behind an interrupted acquire.
//
// An entry names the agent, the case (or a glob of cases), the step as it stands in the case, what
// that agent gives instead, in the words of an expectation, and on the next lines, indented, the
// sentence to tell. It excuses just that answer to just that step.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scenarios/cases/expectation.h"

namespace hobbs {

struct KnownDifference {
  std::string agent;
  std::string case_id;  // With '*' for any characters.
  std::string step;     // With '*' for any characters.
  CallExpectation instead;
  std::string sentence;
};

struct DifferenceTable {
  std::vector<KnownDifference> entries;
  std::string error;  // Empty, or one sentence with the line's number.
};

DifferenceTable parse_differences(std::string_view text);

/// Whether the entry is of that agent, case and step.
bool is_about(const KnownDifference& entry, std::string_view agent, std::string_view case_id,
              std::string_view step);

/// The entry that excuses the answer, or null.
const KnownDifference* find_difference(const DifferenceTable& table, std::string_view agent,
                                       std::string_view case_id, std::string_view step,
                                       const CallAnswer& answer);

}  // namespace hobbs
