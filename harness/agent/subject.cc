#include "harness/agent/subject.h"

#include <cerrno>

namespace hobbs::agent {

Arguments::Arguments(const std::vector<std::string>& parameters, const Json& positional,
                     const Json& keywords) {
  if (positional.size() > parameters.size()) {
    throw RemoteError{"TypeError", "takes at most " + std::to_string(parameters.size()) +
                                       " arguments (" + std::to_string(positional.size()) +
                                       " given)"};
  }
  for (std::size_t i = 0; i < positional.size(); ++i) bound_[parameters[i]] = positional[i];
  for (const auto& [name, value] : keywords.items()) {
    bool known = false;
    for (const std::string& parameter : parameters) known |= parameter == name;
    if (!known) {
      throw RemoteError{"TypeError", "'" + name + "' is an invalid keyword argument"};
    }
    if (!bound_.emplace(name, value).second) {
      throw RemoteError{"TypeError", "got multiple values for argument '" + name + "'"};
    }
  }
}

const Json& Arguments::at(const std::string& name) const {
  static const Json null;
  const auto found = bound_.find(name);
  return found == bound_.end() ? null : found->second;
}

bool Arguments::truth(const std::string& name, bool otherwise) const {
  if (!has(name)) return otherwise;
  const Json& value = at(name);
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.is_null() && !value.empty();
}

int Arguments::c_int(const std::string& name, int otherwise) const {
  if (!has(name)) return otherwise;
  const Json& value = at(name);
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (!value.is_number_integer()) {
    throw RemoteError{"TypeError", "'" + name + "' must be an integer, not " + value.dump()};
  }
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT32_MAX) {
    throw RemoteError{"OverflowError", "Python int too large to convert to C int"};
  }
  const auto wide = value.get<std::int64_t>();
  if (wide < INT32_MIN || wide > INT32_MAX) {
    throw RemoteError{"OverflowError", "Python int too large to convert to C int"};
  }
  return static_cast<int>(wide);
}

double Arguments::number(const std::string& name, double otherwise) const {
  if (!has(name)) return otherwise;
  const Json& value = at(name);
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (!value.is_number()) {
    throw RemoteError{"TypeError", "'" + name + "' must be a number, not " + value.dump()};
  }
  return value.get<double>();
}

std::optional<Seconds> Arguments::seconds_or_none(const std::string& name) const {
  if (!has(name) || at(name).is_null()) return std::nullopt;
  return Seconds(number(name, 0));
}

std::string Arguments::text(const std::string& name) const {
  if (!at(name).is_string()) {
    throw RemoteError{"TypeError", "'" + name + "' must be a string"};
  }
  return at(name).get<std::string>();
}

Json Subject::call(const std::string& method, const Json& positional, const Json& keywords) const {
  const auto found = methods.find(method);
  if (found == methods.end()) {
    throw RemoteError{method.empty() ? "TypeError" : "AttributeError",
                      "'" + type + "' object has no method '" + method + "'"};
  }
  return found->second.call(Arguments(found->second.parameters, positional, keywords));
}

Json Subject::get(const std::string& attribute) const {
  const auto found = attributes.find(attribute);
  if (found != attributes.end()) return found->second();
  if (get_other) {
    if (std::optional<Json> value = get_other(attribute)) return *value;
  }
  throw RemoteError{"AttributeError", "'" + type + "' object has no attribute '" + attribute + "'"};
}

void Subject::set(const std::string& attribute, const Json& value) const {
  if (!set_other) {
    throw RemoteError{"AttributeError",
                      "'" + type + "' object attribute '" + attribute + "' is read-only"};
  }
  set_other(attribute, value);
}

void Subject::erase(const std::string& attribute) const {
  if (!delete_other || !delete_other(attribute)) throw RemoteError{"AttributeError", attribute};
}

std::pair<Json, Exit> Subject::enter(const std::string& method, const Json& positional,
                                     const Json& keywords) const {
  const auto found = contexts.find(method);
  if (found == contexts.end()) {
    throw RemoteError{method.empty() ? "TypeError" : "AttributeError",
                      "'" + type + "' object has no context manager '" + method + "'"};
  }
  const Context& context = found->second;
  return {context.enter(Arguments(context.parameters, positional, keywords)), context.exit};
}

RemoteError Subject::translate(const LockError& error) const {
  const std::string text = error.what();
  if (error.kind() == LockErrorKind::kOperatingSystem) {
    return {os_error_name(error.code().value()), text};
  }
  const auto found = error_names.find(error.kind());
  if (found != error_names.end()) return {found->second, text};
  switch (error.kind()) {
    case LockErrorKind::kNotLocked:
      return {"RuntimeError", text};
    case LockErrorKind::kNotOpen:
      return {"TypeError", text};
    case LockErrorKind::kOutOfRange:
      return {"OverflowError", text};
    case LockErrorKind::kInterrupted:
      return {"InterruptedError", text};
    default:
      return {"ValueError", text};
  }
}

std::string os_error_name(int error) {
  switch (error) {
    case ENOENT:
      return "FileNotFoundError";
    case EEXIST:
      return "FileExistsError";
    case EISDIR:
      return "IsADirectoryError";
    case ENOTDIR:
      return "NotADirectoryError";
    case EACCES:
    case EPERM:
      return "PermissionError";
    case EAGAIN:
      return "BlockingIOError";
    case EINTR:
      return "InterruptedError";
    default:
      return "OSError";
  }
}

}  // namespace hobbs::agent
