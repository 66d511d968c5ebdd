// Everything that a program needs which builds and trains models.
#pragma once

#include "skua/layers/dataset.h"
#include "skua/layers/devices.h"
#include "skua/layers/models.h"
#include "skua/layers/sequential.h"
