// LibTorch's headers take 10 to 25 s a file to compile: the common ones are compiled once, here. Only what
// most files need: loading a pre-compiled header costs time with its size as well (measured: 2.3 s a file for
// this one, 6.9 s with torch/nn in it).
#pragma once
#include <ATen/ATen.h>
