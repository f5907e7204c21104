# A toolchain file: builds for 64-bit Arm on another machine, and lets QEMU run what comes of it.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(_tnm_packages "On Debian or Ubuntu:\n  apt-get install g++-aarch64-linux-gnu qemu-user-static")
find_program(TNM_AARCH64_COMPILER aarch64-linux-gnu-g++)
if(NOT TNM_AARCH64_COMPILER)
    message(FATAL_ERROR "No compiler aarch64-linux-gnu-g++ was found. ${_tnm_packages}")
endif()
find_program(TNM_AARCH64_EMULATOR NAMES qemu-aarch64-static qemu-aarch64)
if(NOT TNM_AARCH64_EMULATOR)
    message(FATAL_ERROR "No emulator qemu-aarch64-static or qemu-aarch64 was found. ${_tnm_packages}")
endif()

set(CMAKE_CXX_COMPILER "${TNM_AARCH64_COMPILER}")
set(CMAKE_CROSSCOMPILING_EMULATOR "${TNM_AARCH64_EMULATOR}")
# The emulator would otherwise need the shared libraries of the other machine, and their path.
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
