#include "reports/run.h"

namespace hobbs {

Tally tally(const std::vector<Result>& results) {
  Tally counts;
  for (const Result& result : results) {
    switch (result.verdict) {
      case Verdict::kPass: ++counts.pass; break;
      case Verdict::kFail: ++counts.fail; break;
      case Verdict::kInconclusive: ++counts.inconclusive; break;
      case Verdict::kSkipped: ++counts.skipped; break;
    }
  }
  return counts;
}

}  // namespace hobbs
