// Profile files.
#include "fuzz.h"
#include "skua/scheduler/cost_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skua;
  using namespace skua::test;
  const std::string path = fuzz_folder().write("profile.json", text_of(data, size));
  const auto model = accepted([&] { return CostModel::load(path); });
  if (!model) return 0;
  model->save(path);
  const std::string first = content_of(path);
  CostModel::load(path).save(path);
  require(content_of(path) == first, "a saved profile to be the same when it is read");
  return 0;
}
