# How every target is compiled.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")

# For tools/fuzz; of everything that is built here, whatever the target.
set(DWGF_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them")
if(DWGF_SANITIZE)
  add_compile_options(-fsanitize=${DWGF_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DWGF_SANITIZE})
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Pre-compiled headers need these two liberties (ccache manual, "Precompiled headers").
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
endif()

add_library(dwgf_compiler INTERFACE)
target_compile_options(dwgf_compiler INTERFACE -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Wno-unused-parameter
                                               $<$<BOOL:${DWGF_WERROR}>:-Werror>)
if(CCACHE_PROGRAM)
  target_compile_options(dwgf_compiler INTERFACE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endif()
