// Whole reports against files that a person has looked at. To accept new ones:
//
//     bazel run //reports/render:golden_test -- --rewrite
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>

#include "reports/render/reporter.h"
#include "reports/render/sample_run.h"

namespace hobbs {
namespace {

std::string path_of(std::string_view format) {
  return "reports/render/golden/sample." + std::string(format);
}

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

TEST(Golden, EveryFormatIsAsItWasSeen) {
  for (const Reporter& reporter : reporters()) {
    const std::string expected = content_of(path_of(reporter.name));
    ASSERT_FALSE(expected.empty()) << path_of(reporter.name) << " is not there";
    EXPECT_EQ(reporter.render(testing::sample_run(), {}), expected) << reporter.name;
  }
}

int rewrite() {
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace == nullptr) {
    std::cerr << "--rewrite works under `bazel run` only\n";
    return 64;
  }
  for (const Reporter& reporter : reporters()) {
    const std::string path = std::string(workspace) + "/" + path_of(reporter.name);
    std::ofstream(path) << reporter.render(testing::sample_run(), {});
    std::cout << "wrote " << path << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace hobbs

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--rewrite") return hobbs::rewrite();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
