// Which memory orders acquire and which release.
#pragma once

#include <atomic>

namespace hobbs::explore {

/// Whether an order is one of these, as one test of one bit.
template <std::memory_order... kThese>
constexpr bool is_among(std::memory_order order) {
  constexpr unsigned kBits = ((1u << static_cast<unsigned>(kThese)) | ...);
  return (kBits >> static_cast<unsigned>(order) & 1) != 0;
}
constexpr bool acquires(std::memory_order order) {
  return is_among<std::memory_order_acquire, std::memory_order_consume, std::memory_order_acq_rel,
                  std::memory_order_seq_cst>(order);
}
constexpr bool releases(std::memory_order order) {
  return is_among<std::memory_order_release, std::memory_order_acq_rel, std::memory_order_seq_cst>(
      order);
}

}  // namespace hobbs::explore
