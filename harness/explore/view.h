// Views: what a worker, or a message in memory, knows of everybody else.
//
// A view is one vector of small numbers: in the first lanes a vector clock (how far into each
// worker's life), then for each atomic word the oldest of its values that may still be read (an
// index into the word's modification order). Knowledge grows by lane-wise maximum. So one vector
// carries both happens-before and coherence, and a synchronisation is one loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace hobbs::explore {

/// Workers that one execution can have, forked ones included.
inline constexpr int kMaxFibres = 8;

/// Atomic words of one lock that the C++ model can keep apart.
inline constexpr int kMaxLocations = 120;

using Lane = std::int16_t;
inline constexpr Lane kMaxLane = INT16_MAX;

template <int kLanes>
struct alignas(16) View {
  Lane lane[kLanes];
};

/// Eight lanes, which is what the machine takes the maximum of at once.
using LaneBlock [[gnu::vector_size(16), gnu::may_alias]] = Lane;
inline constexpr int kLanesPerBlock = 8;
using PairOfWords [[gnu::vector_size(16), gnu::may_alias]] = std::int64_t;

/// The clocks of a view, all at once.
template <int kLanes>
inline LaneBlock& clocks_of(View<kLanes>& view) {
  return *reinterpret_cast<LaneBlock*>(view.lane);
}
template <int kLanes>
inline const LaneBlock& clocks_of(const View<kLanes>& view) {
  return *reinterpret_cast<const LaneBlock*>(view.lane);
}
/// All bits of one lane each.
inline constexpr LaneBlock kOnly[kLanesPerBlock] = {
    {-1, 0, 0, 0, 0, 0, 0, 0}, {0, -1, 0, 0, 0, 0, 0, 0}, {0, 0, -1, 0, 0, 0, 0, 0},
    {0, 0, 0, -1, 0, 0, 0, 0}, {0, 0, 0, 0, -1, 0, 0, 0}, {0, 0, 0, 0, 0, -1, 0, 0},
    {0, 0, 0, 0, 0, 0, -1, 0}, {0, 0, 0, 0, 0, 0, 0, -1}};

/// One block of a view.
template <int kLanes>
inline LaneBlock& block_of(View<kLanes>& view, int i) {
  return reinterpret_cast<LaneBlock*>(view.lane)[i];
}
template <int kLanes>
inline const LaneBlock& block_of(const View<kLanes>& view, int i) {
  return reinterpret_cast<const LaneBlock*>(view.lane)[i];
}
inline LaneBlock maximum(LaneBlock a, LaneBlock b) { return a > b ? a : b; }

/// Views with more than clocks have two blocks in use at least, which nearly always is all of them:
/// so no loop is begun for these.
inline constexpr int kLeastBlocks = 2;

template <int kLanes, class Act>
[[gnu::always_inline]] inline void for_each_block(int blocks, Act&& act) {
  act(0);
  if constexpr (kLanes > kLanesPerBlock) {
    act(1);
    if (blocks > kLeastBlocks) [[unlikely]] {
      for (int i = kLeastBlocks; i < blocks; ++i) act(i);
    }
  }
}

template <int kLanes>
[[gnu::always_inline]] inline void join(View<kLanes>& into, const View<kLanes>& from, int blocks) {
  for_each_block<kLanes>(
      blocks, [&](int i) { block_of(into, i) = maximum(block_of(into, i), block_of(from, i)); });
}

template <int kLanes>
[[gnu::always_inline]] inline void copy(View<kLanes>& into, const View<kLanes>& from, int blocks) {
  for_each_block<kLanes>(blocks, [&](int i) { block_of(into, i) = block_of(from, i); });
}

template <int kLanes>
[[gnu::always_inline]] inline void clear(View<kLanes>& view, int blocks) {
  for_each_block<kLanes>(blocks, [&](int i) { block_of(view, i) = LaneBlock{}; });
}

/// Makes all bytes zero. (Of a few hundred bytes the compiler makes a string instruction, which
/// takes longer to begin than this takes.)
template <class T>
[[gnu::always_inline]] inline void clear_blocks(T& object) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 8 == 0);
  constexpr LaneBlock kZero{};
  auto* const bytes = reinterpret_cast<std::byte*>(&object);
#pragma GCC unroll 32
  for (std::size_t i = 0; i + 16 <= sizeof(T); i += 16) std::memcpy(bytes + i, &kZero, 16);
  if constexpr (sizeof(T) % 16 != 0) std::memcpy(bytes + sizeof(T) / 16 * 16, &kZero, 8);
}

/// Likewise.
template <class T>
[[gnu::always_inline]] inline void copy_blocks(T& to, const T& from) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 16 == 0);
#pragma GCC unroll 32
  for (std::size_t i = 0; i < sizeof(T); i += 16) {
    std::memcpy(reinterpret_cast<std::byte*>(&to) + i,
                reinterpret_cast<const std::byte*>(&from) + i, 16);
  }
}

inline bool is_zero(LaneBlock block) {
  const auto halves = reinterpret_cast<PairOfWords>(block);
  return (halves[0] | halves[1]) == 0;
}

}  // namespace hobbs::explore
