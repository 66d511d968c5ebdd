// The built-in operators, one function per family; op_registry.cpp lists them.
#pragma once

#include <vector>

#include "skua/graph/op_registry.h"

namespace skua::ops {

std::vector<OpDefinition> conv2d_ops();
std::vector<OpDefinition> pool2d_ops();
std::vector<OpDefinition> normalization_ops();
std::vector<OpDefinition> recurrent_ops();
std::vector<OpDefinition> random_ops();
std::vector<OpDefinition> array_ops();
std::vector<OpDefinition> dense_ops();
std::vector<OpDefinition> elementwise_ops();
std::vector<OpDefinition> shape_ops();
std::vector<OpDefinition> reduce_ops();
std::vector<OpDefinition> classification_ops();
std::vector<OpDefinition> loss_ops();
std::vector<OpDefinition> update_ops();

}  // namespace skua::ops
