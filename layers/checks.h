// Whether a user's options and data fit a model. All throw std::invalid_argument, led by the option's name.
#pragma once

#include "model_graph.h"

namespace skua {

void check_options(const CompileOptions& options, const Architecture& architecture);
void check_options(const FitOptions& options, const Dataset& data, const Architecture& architecture);
void check_data(const Dataset& data, const Architecture& architecture);
void check_batch(std::int64_t batch_size);

// The shape of so many samples of one shape.
[[nodiscard]] Shape batch_shape(std::int64_t samples, const Shape& sample);

}  // namespace skua
