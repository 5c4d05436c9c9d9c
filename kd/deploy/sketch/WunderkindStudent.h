// ${title}: C that sketches, which are C++, can call.
#pragma once

extern "C" {
#include "student.h"
}
