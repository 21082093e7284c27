// What an agent serves: an object with Python's names for its methods, attributes and errors.
//
// A Subject is a table of functions over one lock, filled in by the factories (factories.h). It
// knows nothing of sockets and threads; the agent calls it from many threads at once, which is as
// safe as the lock is.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "locks/errors.h"
#include "locks/reference/patience.h"

namespace hobbs::agent {

using Json = nlohmann::json;

/// An error as it goes over the wire: the name of Python's exception class, and its text.
struct RemoteError {
  std::string name;
  std::string message;
};

/// Arguments bound to parameter names as Python binds them.
class Arguments {
 public:
  /// TypeError for a keyword that is no parameter, a double binding, or too many arguments.
  Arguments(const std::vector<std::string>& parameters, const Json& positional,
            const Json& keywords);

  bool has(const std::string& name) const { return bound_.count(name) != 0; }
  /// The value bound to `name`; null if there is none.
  const Json& at(const std::string& name) const;
  /// Python's truth of the value; `otherwise` if none is bound.
  bool truth(const std::string& name, bool otherwise) const;
  /// What C's int takes of it: TypeError for what is no integer (None, a string, a fraction),
  /// OverflowError beyond 32 bits; `otherwise` if nothing is bound.
  int c_int(const std::string& name, int otherwise) const;
  /// TypeError unless a number is bound; `otherwise` if nothing is.
  double number(const std::string& name, double otherwise) const;
  /// As number(), and None means none.
  std::optional<Seconds> seconds_or_none(const std::string& name) const;
  /// TypeError unless a string is bound (str() of anything else is not offered).
  std::string text(const std::string& name) const;

 private:
  std::map<std::string, Json> bound_;
};

/// What leaving a `with` block does.
using Exit = std::function<void()>;

struct Subject {
  struct Method {
    std::vector<std::string> parameters;
    std::function<Json(const Arguments&)> call;
  };
  struct Context {
    std::vector<std::string> parameters;
    std::function<Json(const Arguments&)> enter;
    Exit exit;
  };

  std::string type;                       // Python's name of the class, for messages.
  std::map<std::string, Method> methods;  // By dotted name; "" is a call of the object itself.
  std::map<std::string, std::function<Json()>> attributes;  // By dotted name.
  std::map<std::string, Context> contexts;                  // By method; "" is the object itself.
  // Attributes that are not fixed (thread-local storage); null: there are none.
  std::function<std::optional<Json>(const std::string&)> get_other;
  std::function<void(const std::string&, const Json&)> set_other;
  std::function<bool(const std::string&)> delete_other;
  // Python's exception class for each misuse that does not follow from its kind alone.
  std::map<LockErrorKind, std::string> error_names;

  /// AttributeError if there is no such method.
  Json call(const std::string& method, const Json& positional, const Json& keywords) const;
  Json get(const std::string& attribute) const;
  void set(const std::string& attribute, const Json& value) const;
  void erase(const std::string& attribute) const;
  /// Enters a `with` block; the answer's second half leaves it.
  std::pair<Json, Exit> enter(const std::string& method, const Json& positional,
                              const Json& keywords) const;
  /// The error as Python's users of this object know it.
  RemoteError translate(const LockError& error) const;
};

/// The name of Python's OSError subclass for an errno.
std::string os_error_name(int error);

}  // namespace hobbs::agent
