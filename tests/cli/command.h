// Runs the built skua command and takes apart what it says.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "files.h"

namespace skua::test {

struct Outcome {
  int status = -1;
  std::string out;
  std::string err;

  // The one line of standard output, as JSON.
  [[nodiscard]] nlohmann::json json() const {
    EXPECT_EQ(status, 0) << err;
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1) << out;
    return nlohmann::json::parse(out, nullptr, false);
  }
};

inline Outcome skua(const std::string& arguments) {
  const std::string base = testing::TempDir() + "skua_cli_test_" + std::to_string(getpid());
  const std::string command =
      std::string(SKUA_COMMAND) + " " + arguments + " >" + base + ".out 2>" + base + ".err </dev/null";
  const int status = std::system(command.c_str());
  Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, content_of(base + ".out"), content_of(base + ".err")};
  std::remove((base + ".out").c_str());
  std::remove((base + ".err").c_str());
  return outcome;
}

// Status 2, nothing on standard output, one line on standard error that holds each of `parts`.
inline void expect_refused(const std::string& arguments, const std::vector<std::string>& parts) {
  const Outcome outcome = skua(arguments);
  EXPECT_EQ(outcome.status, 2) << arguments << "\n" << outcome.err;
  EXPECT_EQ(outcome.out, "") << arguments;
  EXPECT_EQ(outcome.err.rfind("skua: ", 0), 0U) << arguments << "\n" << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << arguments << "\n" << outcome.err;
  for (const std::string& part : parts) {
    EXPECT_NE(outcome.err.find(part), std::string::npos) << arguments << "\n" << outcome.err;
  }
}

}  // namespace skua::test
