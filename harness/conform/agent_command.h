// How the agents that serve locks are started.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hobbs {

struct AgentCommand {
  std::string name;                // cpp, python, or exec.
  std::vector<std::string> words;  // The socket's path comes after these.
  std::string error;               // Empty, or one sentence.
};

/// `agent` is one of
///   cpp           the C++ locks: `cpp_agent`, or, if that is empty, this very program with the
///                 word "agent"
///   python        Python's own locks: the embedded agent, run by $HOBBS_PYTHON or else by the
///                 first of python3 on the path and /usr/bin/python3 that has fasteners
///   exec:COMMAND  a command line of the shell, which gets the socket's path as its last argument
AgentCommand find_agent(std::string_view agent, const std::string& cpp_agent = {});


/// The Python of the agent "python"; empty if there is none.
std::string find_python();

/// Whether `python` runs this one line of Python without an error.
bool python_runs(const std::string& python, const char* line);

}  // namespace hobbs
