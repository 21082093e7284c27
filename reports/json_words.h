// What the JSON library complains about, in words for the user.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hobbs {

/// The library's words without its own name and number for the error ("[json.exception...] ").
inline std::string plain_words(const nlohmann::json::exception& error) {
  const std::string_view words = error.what();
  const std::size_t prefix = words.find("] ");
  return std::string(prefix == std::string_view::npos ? words : words.substr(prefix + 2));
}

}  // namespace hobbs
