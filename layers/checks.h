// Whether a user's options and data fit a model. All throw std::invalid_argument, led by the option's name.
#pragma once

#include "blueprint.h"

namespace skua {

void check_options(const CompileOptions& options, const Blueprint& blueprint);
void check_options(const FitOptions& options, const Dataset& data, const ModelGraph& model);
// `model` is a graph with a loss, for any count of samples.
void check_data(const Dataset& data, const ModelGraph& model);
void check_batch(std::int64_t batch_size);

}  // namespace skua
