// The skua command: a thin program over the library. Exit status 0, 1 (it failed), 2 (bad usage or input).
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <stdexcept>

#include "command.h"

int main(int argc, char** argv) {
  CLI::App program("Trains neural networks on several devices, with a scheduler built in.", "skua");
  program.require_subcommand(1);
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // scripts append to defaults
  skua::cli::add_devices_command(program);
  skua::cli::add_policies_command(program);
  skua::cli::add_train_command(program);
  skua::cli::add_plan_command(program);
  skua::cli::add_simulate_command(program);
  skua::cli::add_bench_command(program);
  try {
    program.parse(argc, argv);  // runs the subcommand
  } catch (const CLI::Success& help) {
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> unknown = program.remaining(true);
    fmt::print(stderr, "skua: {}{}\n", error.what(), unknown.empty() ? "" : fmt::format(", got '{}'", unknown.front()));
    return 2;
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "skua: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "skua: {}\n", error.what());
    return 1;
  }
  return 0;
}
