#include "../parallel.h"
#include "kernels.h"

namespace skua::cpu {

namespace {

class Reshape final : public Kernel {
 public:
  Reshape(const Layout& from, const Layout& to) : conversion_(from, to) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return conversion_.scratch_bytes(); }
  void run(const KernelArguments& arguments) override {
    conversion_.run(arguments.inputs[0], arguments.outputs[0], arguments.scratch);
  }

 private:
  Conversion conversion_;
};

class Fill final : public Kernel {
 public:
  Fill(float value, std::int64_t count) : value_(value), count_(count) {}
  void run(const KernelArguments& arguments) override {
    float* const y = arguments.out(0);
    for_each_element(count_, [y, value = value_](std::int64_t i) { y[i] = value; });
  }

 private:
  float value_;
  std::int64_t count_;
};

}  // namespace

// To the plain layout.
KernelPointer make_reshape(NodeBuilder& builder) {
  const Layout from = builder.input_layout(0);
  builder.read(0, from);
  builder.write_plain(0);
  if (from.is_plain()) builder.may_overwrite(0, 0);
  return std::make_unique<Reshape>(from, Layout(builder.output_type(0)));
}

KernelPointer make_fill(NodeBuilder& builder) {
  builder.write_plain(0);
  return std::make_unique<Fill>(static_cast<float>(builder.op().attributes.real("value")),
                                builder.output_type(0).shape.elements());
}

}  // namespace skua::cpu
