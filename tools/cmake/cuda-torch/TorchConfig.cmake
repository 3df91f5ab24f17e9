# LibTorch's CUDA build as tools/check-cuda lays it out: its headers, and its libraries to link with, without
# CUDA's compiler, which LibTorch's own package asks for. DWGF_CUDA_TORCH is the folder.
set(Torch_VERSION ${DWGF_CUDA_TORCH_VERSION})
set(TORCH_INSTALL_PREFIX ${DWGF_CUDA_TORCH})
set(TORCH_INCLUDE_DIRS ${DWGF_CUDA_TORCH}/include ${DWGF_CUDA_TORCH}/include/torch/csrc/api/include)
# libtorch.so names libtorch_cuda.so, which registers the device: kept though nothing is asked of either.
set(TORCH_LIBRARIES -Wl,--no-as-needed ${DWGF_CUDA_TORCH}/lib/libtorch.so -Wl,--as-needed
                    ${DWGF_CUDA_TORCH}/lib/libtorch_cpu.so ${DWGF_CUDA_TORCH}/lib/libc10.so)
set(TORCH_CXX_FLAGS "")
