// All layers.
#pragma once

#include "skua/layers/attention.h"
#include "skua/layers/convolution.h"
#include "skua/layers/core.h"
#include "skua/layers/normalization.h"
#include "skua/layers/recurrent.h"
