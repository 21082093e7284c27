#include "reports/result.h"

#include <algorithm>

namespace hobbs {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass: return "pass";
    case Verdict::kFail: return "fail";
    case Verdict::kInconclusive: return "inconclusive";
    case Verdict::kSkipped: return "skipped";
  }
  return "?";
}

Verdict overall(const std::vector<Result>& results) {
  const auto any = [&](Verdict verdict) {
    return std::any_of(results.begin(), results.end(),
                       [verdict](const Result& result) { return result.verdict == verdict; });
  };
  for (const Verdict verdict : {Verdict::kFail, Verdict::kInconclusive, Verdict::kPass}) {
    if (any(verdict)) return verdict;
  }
  return Verdict::kSkipped;
}

}  // namespace hobbs
