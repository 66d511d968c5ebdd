// IDX files, plain and gzip: of images beside labels that are right, of labels beside such images.
#include "data_sets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skua;
  using namespace skua::test;
  static const std::string images =
      fuzz_folder().write("images", std::string("\0\0\10\3\0\0\0\2\0\0\0\1\0\0\0\2abcd", 20));
  static const std::string labels = fuzz_folder().write("labels", std::string("\0\0\10\1\0\0\0\2\3\11", 10));
  const std::string path = fuzz_folder().write("idx", text_of(data, size));
  if (const auto read = accepted([&] { return datasets::idx(path, labels); })) check_rows(**read);
  if (const auto read = accepted([&] { return datasets::idx(images, path); })) check_rows(**read);
  return 0;
}
