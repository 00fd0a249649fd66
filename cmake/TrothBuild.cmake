# How everything is compiled: language level, warnings, sanitizers, cache and linker.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

# Checks stay on in every build type: base/check.h does not depend on NDEBUG.
set(CMAKE_CXX_FLAGS_DEV "-O1 -g1")
set(CMAKE_C_FLAGS_DEV "-O1 -g1")

option(TROTH_FUZZ "Build the fuzz targets; needs clang" OFF)
set(TROTH_SANITIZE "" CACHE STRING "Sanitizers for every target, e.g. address,undefined or thread")
if(TROTH_SANITIZE)
  add_compile_options(-fsanitize=${TROTH_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TROTH_SANITIZE})
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=time_macros ${CCACHE_PROGRAM})
endif()

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

# Warnings for our own code; generated and third-party headers come in as SYSTEM.
add_library(troth_warnings INTERFACE)
target_compile_options(troth_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-align -Woverloaded-virtual
  -Wconversion -Wno-sign-conversion -Wnull-dereference -Wextra-semi -Werror=switch -Wimplicit-fallthrough
  # Designated initialisers leave out what keeps its initial value: that is what they are for.
  -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # Clang compiles the fuzz targets only; the warnings above are GCC's, and every other preset has them.
  set_property(TARGET troth_warnings PROPERTY INTERFACE_COMPILE_OPTIONS -w)
elseif(TROTH_SANITIZE)
  # GCC's flow analysis misreads sanitized code; the other presets keep these warnings.
  target_compile_options(troth_warnings INTERFACE -Wno-null-dereference -Wno-maybe-uninitialized)
endif()
if(NOT CMAKE_BUILD_TYPE STREQUAL Dev)
  # At -O2 GCC 12 sees null pointers inside the standard library's strings (CLI11's lists) and unset values inside its
  # expected and optional; -O1 keeps both warnings.
  target_compile_options(troth_warnings INTERFACE -Wno-null-dereference -Wno-maybe-uninitialized)
endif()
