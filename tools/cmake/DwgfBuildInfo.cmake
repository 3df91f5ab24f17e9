# build_info.cpp: one small source, looked at by every build and compiled anew when the revision has changed.
# Included by the project it sets that up; run as a script (cmake -P) it writes the file.
if(CMAKE_SCRIPT_MODE_FILE)
  set(DWGF_REVISION none)
  execute_process(COMMAND git -C ${DWGF_SOURCE} rev-parse --show-toplevel OUTPUT_VARIABLE top ERROR_QUIET
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(REAL_PATH ${DWGF_SOURCE} DWGF_SOURCE)
  # An unpacked archive may lie inside the repository of something else.
  if(top AND top STREQUAL DWGF_SOURCE)
    execute_process(COMMAND git --no-optional-locks -C ${DWGF_SOURCE} describe --always --dirty --abbrev=12
                    OUTPUT_VARIABLE found ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(found)
      set(DWGF_REVISION ${found})
    endif()
  endif()
  configure_file(${CMAKE_CURRENT_LIST_DIR}/build_info.cpp.in ${DWGF_OUTPUT} @ONLY)
  return()
endif()

string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}" flags)
add_custom_target(dwgf_build_info BYPRODUCTS ${PROJECT_BINARY_DIR}/build_info.cpp
  COMMAND ${CMAKE_COMMAND} -D DWGF_SOURCE=${PROJECT_SOURCE_DIR}
          -D DWGF_OUTPUT=${PROJECT_BINARY_DIR}/build_info.cpp -D DWGF_VERSION=${PROJECT_VERSION}
          -D DWGF_TORCH=${Torch_VERSION}
          -D "DWGF_COMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} ${flags}"
          -P ${CMAKE_CURRENT_LIST_FILE}
  VERBATIM COMMENT "Asking git for the revision")
target_sources(dwgf_base PRIVATE ${PROJECT_BINARY_DIR}/build_info.cpp)
add_dependencies(dwgf_base dwgf_build_info)
