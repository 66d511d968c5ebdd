// What stands in for kernels and programs where the device itself is tested.
#include "engine/cuda/program.h"

namespace skua::cuda {
namespace {

// Its scratch tells which GPU it was made for.
class TrivialProgram final : public Program {
 public:
  explicit TrivialProgram(std::size_t scratch_bytes) : scratch_bytes_(scratch_bytes) {}
  [[nodiscard]] std::size_t value_bytes(ValueId) const override { return 0; }
  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_bytes_; }
  void set_step(const StepContext&) override {}
  void launch(const KernelCall&, Completion& completion) override { completion.done(nullptr); }
  void accumulate(ValueId, void*, const void*, Part, Stream*, Completion& completion) override { completion.done(nullptr); }
  void import_value(ValueId, const Tensor&, void*) override {}
  void export_value(ValueId, const void*, Tensor&) override {}

 private:
  std::size_t scratch_bytes_;
};

}  // namespace

KernelFactory find_kernel(std::string_view op_type) {
  if (op_type != "relu") return nullptr;
  return [](const NodeView&) { return KernelPointer(); };
}

std::unique_ptr<Program> make_program(const Graph&, Gpu& gpu, Libraries&) {
  return std::make_unique<TrivialProgram>(gpu.info().ordinal);
}

}  // namespace skua::cuda
