#include "scenarios/cases/arguments.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <variant>

namespace hobbs {
namespace {

__extension__ using Whole = __int128;

constexpr int kDepthMax = 32;  // Nested brackets; deeper is a mistake in the file.

/// A number keeps its Python type; anything else is its JSON text already.
using Value = std::variant<Whole, double, std::string>;

std::string whole_text(Whole value) {
  if (value == 0) return "0";
  std::string digits;
  const bool negative = value < 0;
  for (; value != 0; value /= 10) {
    const int digit = static_cast<int>(value % 10);
    digits.insert(digits.begin(), static_cast<char>('0' + (digit < 0 ? -digit : digit)));
  }
  return negative ? "-" + digits : digits;
}

std::string real_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  // A whole real must stay a real for the other side: 1.0 is not 1.
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string json_text(const Value& value) {
  if (const auto* whole = std::get_if<Whole>(&value)) return whole_text(*whole);
  if (const auto* real = std::get_if<double>(&value)) return real_text(*real);
  return std::get<std::string>(value);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Arguments arguments() {
    Arguments result;
    skip_blanks();
    while (!at_end()) {
      std::string name = keyword();
      std::string value = json_text(sum());
      if (!name.empty()) {
        for (const auto& [other, unused] : result.keyword) {
          if (other == name) fail("the keyword '" + name + "' is repeated");
        }
        result.keyword.emplace_back(std::move(name), std::move(value));
      } else if (!result.keyword.empty()) {
        fail("a positional argument follows a keyword argument");
      } else {
        result.positional.push_back(std::move(value));
      }
      if (!take(',') && !at_end()) fail("expected ',' before '" + rest() + "'");
    }
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const { throw std::invalid_argument(why); }
  bool at_end() const { return next_ == text_.size(); }
  char peek(std::size_t ahead = 0) const {
    return next_ + ahead < text_.size() ? text_[next_ + ahead] : '\0';
  }
  std::string rest() const { return std::string(text_.substr(next_, 20)); }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t') ++next_;
  }
  bool take(std::string_view token) {
    if (text_.substr(next_, token.size()) != token) return false;
    next_ += token.size();
    skip_blanks();
    return true;
  }
  bool take(char token) { return take(std::string_view(&token, 1)); }

  static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  }

  std::string name() {
    std::size_t length = 0;
    while (is_name_char(peek(length))) ++length;
    std::string result(text_.substr(next_, length));
    next_ += length;
    skip_blanks();
    return result;
  }

  /// `name=` if that is what comes next, else nothing is taken.
  std::string keyword() {
    const std::size_t start = next_;
    if (peek() >= '0' && peek() <= '9') return {};
    std::string result = name();
    if (!result.empty() && peek() == '=' && peek(1) != '=') {
      take('=');
      return result;
    }
    next_ = start;
    return {};
  }

  const Value& number(const Value& value) const {
    if (std::holds_alternative<std::string>(value)) fail("arithmetic is for numbers only");
    return value;
  }
  double real(const Value& value) const {
    if (const auto* whole = std::get_if<Whole>(&number(value))) return static_cast<double>(*whole);
    return std::get<double>(value);
  }

  Value calculate(char op, const Value& left, const Value& right) const {
    const bool whole = std::holds_alternative<Whole>(number(left)) &&
                       std::holds_alternative<Whole>(number(right)) && op != '/';
    if (!whole) {
      const double a = real(left);
      const double b = real(right);
      if (op == '/' && b == 0) fail("division by zero");
      return op == '+'   ? a + b
             : op == '-' ? a - b
             : op == '*' ? a * b
             : op == '/' ? a / b
                         : std::pow(a, b);
    }
    const Whole a = std::get<Whole>(left);
    const Whole b = std::get<Whole>(right);
    if (op == '^' && b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
    Whole result = 1;
    bool overflow = false;
    if (op == '+') overflow = __builtin_add_overflow(a, b, &result);
    if (op == '-') overflow = __builtin_sub_overflow(a, b, &result);
    if (op == '*') overflow = __builtin_mul_overflow(a, b, &result);
    if (op == '^') {
      overflow = b > 127 && (a > 1 || a < -1);
      for (Whole i = 0; !overflow && i < b && i < 128; ++i) {
        overflow = __builtin_mul_overflow(result, a, &result);
      }
    }
    if (overflow) fail("a whole number is beyond 127 bits");
    return result;
  }

  Value sum() {
    if (++depth_ > kDepthMax) fail("brackets are nested too deeply");
    Value left = product();
    while (peek() == '+' || peek() == '-') {
      const char op = peek();
      take(op);
      left = calculate(op, left, product());
    }
    --depth_;
    // Shifting binds less than the sum; once is enough for a literal such as 1<<63.
    if (take("<<")) return calculate('*', left, calculate('^', Whole{2}, sum()));
    return left;
  }

  Value product() {
    Value left = signed_power();
    while ((peek() == '*' && peek(1) != '*') || peek() == '/') {
      const char op = peek();
      take(op);
      left = calculate(op, left, signed_power());
    }
    return left;
  }

  Value signed_power() {
    if (++depth_ > kDepthMax) fail("brackets or signs are nested too deeply");
    Value result;
    if (take('-')) {
      const Value value = number(signed_power());
      const auto* whole = std::get_if<Whole>(&value);
      result = whole != nullptr ? Value(-*whole) : Value(-std::get<double>(value));
    } else if (take('+')) {
      result = number(signed_power());
    } else {
      result = atom();
      if (take("**")) result = calculate('^', result, signed_power());
    }
    --depth_;
    return result;
  }

  Value atom() {
    const char c = peek();
    if (c == '\'' || c == '"') return json_quote(string_literals());
    if (c == '[') return sequence('[', ']');
    if (c == '(') return parenthesis();
    if ((c >= '0' && c <= '9') || (c == '.' && peek(1) >= '0' && peek(1) <= '9')) return literal();
    const std::string word = name();
    if (word == "None") return std::string("null");
    if (word == "True") return std::string("true");
    if (word == "False") return std::string("false");
    if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
    if (word == "inf") return std::numeric_limits<double>::infinity();
    if (!word.empty()) {
      fail("'" + word +
           "' is not a value; write a number, a string, None, True, False, nan or inf");
    }
    fail(at_end() ? "a value is missing at the end" : "expected a value at '" + rest() + "'");
  }

  Value parenthesis() {
    const std::size_t start = next_;
    take('(');
    if (peek() != ')') {
      Value value = sum();
      if (take(')')) return value;
      next_ = start;
    } else {
      next_ = start;
    }
    return sequence('(', ')');
  }

  std::string sequence(char open, char close) {
    take(open);
    std::string result = "[";
    while (!take(close)) {
      if (result.size() > 1) result += ',';
      result += json_text(sum());
      if (!take(',') && peek() != close) fail(std::string("'") + close + "' is missing");
    }
    return result + "]";
  }

  std::string string_literals() {
    std::string result;
    while (peek() == '\'' || peek() == '"') {
      const char quote = peek();
      ++next_;
      while (peek() != quote) {
        if (at_end()) fail("a string is not closed");
        result += peek() == '\\' ? escape() : text_[next_++];
      }
      ++next_;
      skip_blanks();
    }
    return result;
  }

  char escape() {
    ++next_;
    const char c = peek();
    ++next_;
    switch (c) {
      case 'n': return '\n';
      case 't': return '\t';
      case 'r': return '\r';
      case '0': return '\0';
      case '\\':
      case '\'':
      case '"': return c;
      case 'x': {
        unsigned value = 0;
        const char* begin = text_.data() + next_;
        if (next_ + 2 > text_.size() ||
            std::from_chars(begin, begin + 2, value, 16).ptr != begin + 2)
          fail("\\x needs two hexadecimal digits");
        next_ += 2;
        return static_cast<char>(value);
      }
      default: fail(std::string("the escape \\") + c + " is not known");
    }
  }

  Value literal() {
    std::string digits;
    bool is_real = false;
    while (is_name_char(peek()) || peek() == '.' ||
           ((peek() == '+' || peek() == '-') && (digits.back() == 'e' || digits.back() == 'E'))) {
      if (peek() == '.' || peek() == 'e' || peek() == 'E') is_real = true;
      if (peek() != '_') digits += peek();
      ++next_;
    }
    skip_blanks();
    if (is_real) {
      double value = 0;
      const char* end = digits.data() + digits.size();
      const auto parsed = std::from_chars(digits.data(), end, value);
      if (parsed.ptr != end) fail("'" + digits + "' is not a number");
      if (parsed.ec == std::errc::result_out_of_range) {
        value = std::numeric_limits<double>::infinity();  // As Python reads 1e999.
      }
      return value;
    }
    Whole value = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') fail("'" + digits + "' is not a number");
      if (__builtin_mul_overflow(value, Whole{10}, &value) ||
          __builtin_add_overflow(value, Whole{c - '0'}, &value)) {
        fail("a whole number is beyond 127 bits");
      }
    }
    return value;
  }

  std::string_view text_;
  std::size_t next_ = 0;
  int depth_ = 0;
};

}  // namespace

std::string json_quote(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
      result += buffer;
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string Arguments::positional_json() const {
  std::string result = "[";
  for (const std::string& value : positional) {
    if (result.size() > 1) result += ',';
    result += value;
  }
  return result + "]";
}

std::string Arguments::keyword_json() const {
  std::string result = "{";
  for (const auto& [name, value] : keyword) {
    if (result.size() > 1) result += ',';
    result += json_quote(name) + ':' + value;
  }
  return result + "}";
}

Arguments parse_arguments(std::string_view text) {
  try {
    return Parser(text).arguments();
  } catch (const std::invalid_argument& error) {
    Arguments result;
    result.error = error.what();
    return result;
  }
}

std::string substitute(std::string_view text, const CaseVariables& variables,
                       std::string* unknown) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool name_follows =
        text[i] == '$' && i + 1 < text.size() && (std::isalpha(text[i + 1]) || text[i + 1] == '_');
    if (!name_follows) {
      result += text[i];
      continue;
    }
    const std::pair<const std::string, std::string>* best = nullptr;
    for (const auto& variable : variables) {
      const bool fits = text.substr(i + 1, variable.first.size()) == variable.first;
      if (fits && (best == nullptr || variable.first.size() > best->first.size())) {
        best = &variable;
      }
    }
    if (best != nullptr) {
      result += best->second;
      i += best->first.size();
    } else {
      if (unknown != nullptr && unknown->empty()) {
        std::size_t length = 1;
        while (i + length < text.size() &&
               (std::isalnum(text[i + length]) || text[i + length] == '_')) {
          ++length;
        }
        *unknown = text.substr(i, length);
      }
      result += '$';
    }
  }
  return result;
}

}  // namespace hobbs
