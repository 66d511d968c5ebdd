// CIFAR-10's binary files: all six the same.
#include <filesystem>

#include "data_sets.h"

namespace skua::test {
namespace {

std::string folder_of_links() {
  const std::string folder = fuzz_folder() / "cifar";
  std::filesystem::create_directory(folder);
  for (const std::string name :
       {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"}) {
    std::filesystem::create_symlink(fuzz_folder() / "batch", folder + "/" + name + ".bin");
  }
  return folder;
}

}  // namespace
}  // namespace skua::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skua;
  using namespace skua::test;
  static const std::string folder = folder_of_links();
  fuzz_folder().write("batch", text_of(data, size));
  if (const auto read = accepted([&] { return datasets::cifar10(folder); })) check_rows(*read);
  return 0;
}
