#include "harness/agent/factories.h"

namespace hobbs::agent {

std::shared_ptr<const Subject> make_subject(const std::string& kind, const Json& positional,
                                            const Json& keywords) {
  const std::size_t dot = kind.find('.');
  const std::string family = kind.substr(0, dot);
  std::string name = dot == std::string::npos ? "" : kind.substr(dot + 1);
  Made made;
  if (family == "th") made = make_threading(name, positional, keywords);
  if (family == "fa") made = make_fasteners(name, positional, keywords);
  if (family == "mpu") made = make_multiprocessing_utils(name, positional, keywords);
  if (family == "mp") {
    const std::size_t context_end = name.rfind('.');
    std::string context;
    if (context_end != std::string::npos) {
      context = name.substr(0, context_end);
      name = name.substr(context_end + 1);
    }
    made = make_multiprocessing(context, name, positional, keywords);
  }
  if (made == nullptr) throw RemoteError{"KeyError", kind};
  return made;
}

}  // namespace hobbs::agent
