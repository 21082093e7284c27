// Static variables of the code under test, plain ones: the modelled workers share them although
// they are processes, and what one execution leaves there the next one finds. A lock that keeps
// anything in them is not what it would be, and whatever it does is no finding.
#pragma once

#include <cstddef>
#include <vector>

namespace hobbs::explore {

/// The static variables of the program itself and of libraries that are not the system's.
class StaticImage {
 public:
  StaticImage();

  /// To be called wherever another worker may go on. The first look only remembers.
  void look();
  /// Whether anything was found changed between two looks.
  bool changed() const { return changed_; }

 private:
  struct Block {
    const std::byte* at;
    std::size_t bytes;
  };
  std::vector<Block> blocks_;
  std::vector<std::byte> seen_;
  bool changed_ = false;
};

}  // namespace hobbs::explore
