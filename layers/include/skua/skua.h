// Everything that a program needs which builds and trains models.
#pragma once

#include "skua/graph/graph_file.h"
#include "skua/graph/op_registry.h"
#include "skua/graph/passes.h"
#include "skua/layers/dataset.h"
#include "skua/layers/devices.h"
#include "skua/layers/gan.h"
#include "skua/layers/generation.h"
#include "skua/layers/png.h"
#include "skua/layers/text.h"
#include "skua/layers/transforms.h"
#include "skua/scheduler/report.h"
