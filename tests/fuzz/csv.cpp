// CSV files.
#include "data_sets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skua;
  using namespace skua::test;
  const std::string path = fuzz_folder().write("table.csv", text_of(data, size));
  const datasets::CsvOptions kinds[] = {
      {}, {.label = "1", .header = false}, {.label = "y", .delimiter = ';', .classes = 3}};
  for (const datasets::CsvOptions& options : kinds) {
    if (const auto table = accepted([&] { return datasets::csv(path, options); })) check_rows(**table);
  }
  return 0;
}
