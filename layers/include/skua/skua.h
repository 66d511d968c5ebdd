// Everything that a program needs which builds and trains models.
#pragma once

#include "skua/layers/dataset.h"
