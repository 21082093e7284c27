// Which descriptors of a process lead to us.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace hobbs::foreign {

/// Its sockets whose other end listens at `path`, as far as the system lets us look.
std::vector<std::uint64_t> sockets_to(pid_t process, const std::string& path);

}  // namespace hobbs::foreign
