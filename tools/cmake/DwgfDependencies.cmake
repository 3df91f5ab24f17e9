# Every library that the project builds on, as it is needed again by who builds on an installed dwgf: this file is part of that
# package. An existing MPI, HDF5 or LibTorch is taken by the usual CMake means (CMAKE_PREFIX_PATH, Torch_DIR, HDF5_ROOT,
# MPI_HOME); tools/setup puts LibTorch into .deps/ where none is given. Imported, so that the installed package names them only.
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/../../.deps/libtorch)
  list(APPEND CMAKE_PREFIX_PATH ${CMAKE_CURRENT_LIST_DIR}/../../.deps/libtorch)
endif()

find_package(MPI REQUIRED COMPONENTS C)
add_library(dwgf_mpi INTERFACE IMPORTED GLOBAL)
target_link_libraries(dwgf_mpi INTERFACE MPI::MPI_C)
# The C++ bindings that Open MPI 4 still includes by default would need another library.
target_compile_definitions(dwgf_mpi INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)

if(DWGF_CUDA)
  # From a CUDA toolkit, a module, or the wheels nvidia-cuda-runtime and nvidia-nccl (tools/check-cuda): any prefix that
  # CMAKE_PREFIX_PATH names and that has include/ and lib/.
  find_path(DWGF_CUDART_INCLUDE cuda_runtime_api.h PATHS /usr/local/cuda PATH_SUFFIXES include)
  # The library that the header belongs to, where several toolkits are installed.
  find_library(DWGF_CUDART_LIBRARY NAMES cudart libcudart.so.13 libcudart.so.12 NAMES_PER_DIR
               HINTS ${DWGF_CUDART_INCLUDE}/.. PATHS /usr/local/cuda PATH_SUFFIXES lib lib64)
  find_path(DWGF_NCCL_INCLUDE nccl.h)
  find_library(DWGF_NCCL_LIBRARY NAMES nccl libnccl.so.2 NAMES_PER_DIR HINTS ${DWGF_NCCL_INCLUDE}/.. PATH_SUFFIXES lib lib64)
  foreach(part CUDART_INCLUDE CUDART_LIBRARY NCCL_INCLUDE NCCL_LIBRARY)
    if(NOT DWGF_${part})
      message(FATAL_ERROR "DWGF_CUDA=ON needs the CUDA runtime and NCCL; DWGF_${part} was not found. Name their folders in "
                          "CMAKE_PREFIX_PATH, or run tools/check-cuda, which fetches both.")
    endif()
  endforeach()
  find_program(DWGF_NVCC nvcc HINTS ${DWGF_CUDART_INCLUDE}/../bin PATHS /usr/local/cuda/bin)
  if(NOT DWGF_NVCC)
    message(FATAL_ERROR "DWGF_CUDA=ON needs CUDA's compiler for the kernels of src/kernels; nvcc was not found in PATH, "
                        "CMAKE_PREFIX_PATH or /usr/local/cuda. Set DWGF_NVCC to it, or run tools/check-cuda, which fetches it.")
  endif()
  add_library(dwgf_nccl INTERFACE IMPORTED GLOBAL)
  target_include_directories(dwgf_nccl SYSTEM INTERFACE ${DWGF_CUDART_INCLUDE} ${DWGF_NCCL_INCLUDE})
  target_link_libraries(dwgf_nccl INTERFACE ${DWGF_NCCL_LIBRARY} ${DWGF_CUDART_LIBRARY})
endif()

set(HDF5_PREFER_PARALLEL TRUE)
find_package(HDF5 REQUIRED COMPONENTS C)
if(NOT HDF5_IS_PARALLEL)
  message(FATAL_ERROR "HDF5 was found without MPI support; results are written in parallel. "
                      "Install the parallel build (Debian: libhdf5-openmpi-dev) or set HDF5_ROOT to one.")
endif()
add_library(dwgf_hdf5 INTERFACE IMPORTED GLOBAL)
target_link_libraries(dwgf_hdf5 INTERFACE hdf5::hdf5)

find_package(Boost REQUIRED COMPONENTS program_options)
find_package(nlohmann_json REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(TIFF 4.5 REQUIRED)
find_package(ZLIB REQUIRED)

# These come with a CMake package in their newer versions only; their pkg-config files are there in all. Not as imported
# targets of pkg-config: the compile options would bar the tests from the pre-compiled header.
find_package(PkgConfig REQUIRED)
foreach(name_and_module deflate:libdeflate lcms:lcms2 spng:spng turbojpeg:libturbojpeg utf8proc:libutf8proc webp:libwebp webpdemux:libwebpdemux)
  string(REGEX MATCH "^[^:]*" name ${name_and_module})
  string(REGEX MATCH "[^:]*$" module ${name_and_module})
  pkg_check_modules(${name} REQUIRED ${module})
  add_library(dwgf_${name} INTERFACE IMPORTED GLOBAL)
  target_include_directories(dwgf_${name} INTERFACE ${${name}_INCLUDE_DIRS})
  target_link_libraries(dwgf_${name} INTERFACE ${${name}_LINK_LIBRARIES})
endforeach()

find_package(Torch QUIET)
if(NOT Torch_FOUND)
  message(FATAL_ERROR "LibTorch was not found. Run tools/setup, or set Torch_DIR or CMAKE_PREFIX_PATH to an existing "
                      "LibTorch 2.11 or newer (in a Python environment: torch.utils.cmake_prefix_path).")
endif()
add_library(dwgf_torch INTERFACE IMPORTED GLOBAL)
target_include_directories(dwgf_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(dwgf_torch INTERFACE ${TORCH_LIBRARIES})
target_compile_options(dwgf_torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${TORCH_CXX_FLAGS}>)

if(DWGF_TESTS)
  find_package(GTest REQUIRED)
endif()
