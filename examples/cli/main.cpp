// The skua command: a thin program over the library. Exit status 0, 1 (it failed), 2 (bad usage or input).
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "command.h"

namespace {

// Exit statuses promise one line of standard error.
int fail(int status, std::string text) {
  for (char& c : text) c = c == '\n' ? ' ' : c;
  fmt::print(stderr, "skua: {}\n", text.substr(0, text.find_last_not_of(" ^") + 1));
  return status;
}

std::string text_of(const CLI::App& program, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = program.remaining(true);
  const bool complete = unknown.empty() || dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  return complete ? error.what() : fmt::format("{}, got '{}'", error.what(), unknown.front());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program("Trains neural networks on several devices, with a scheduler built in.", "skua");
  program.require_subcommand(1);
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // scripts append to defaults
  skua::cli::add_devices_command(program);
  skua::cli::add_policies_command(program);
  skua::cli::add_train_command(program);
  skua::cli::add_generate_command(program);
  skua::cli::add_plan_command(program);
  skua::cli::add_simulate_command(program);
  skua::cli::add_schedule_command(program);
  skua::cli::add_calibrate_command(program);
  skua::cli::add_bench_command(program);
  try {
    program.parse(argc, argv);  // runs the subcommand
  } catch (const CLI::Success& help) {
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    return fail(2, text_of(program, error));
  } catch (const std::invalid_argument& error) {
    return fail(2, error.what());
  } catch (const std::exception& error) {
    return fail(1, error.what());
  }
  return std::fflush(stdout) == 0 ? 0 : fail(1, "standard output cannot be written");
}
