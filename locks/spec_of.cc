#include "locks/spec_of.h"

namespace hobbs::internal {

Claims claims_of_kind(std::string_view kind, std::uint32_t capacity) {
  Claims claims;
  if (kind == "semaphore") {
    claims.semaphore = true;
    claims.permits = capacity;
    claims.releaser = Releaser::kAnyone;
    return claims;
  }
  // Compound kinds ("robust-reentrant") add up.
  if (kind.find("reentrant") != std::string_view::npos) claims.reentrant = true;
  if (kind.find("robust") != std::string_view::npos) claims.crash = CrashBehaviour::kTakeover;
  // "mutex", "rw" and "file" are the defaults: the holder releases, a crash leaves it stuck.
  return claims;
}

}  // namespace hobbs::internal
