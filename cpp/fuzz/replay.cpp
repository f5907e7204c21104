// Drives a fuzzing entry point without libFuzzer.
//
//   replay_SUBJECT FILE_OR_FOLDER...   the inputs in these files
//   replay_SUBJECT --count N [S]       N pseudo-random inputs, from seed S on
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/random.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

bool holds(const Bytes& input, const std::string& name) {
    try {
        LLVMFuzzerTestOneInput(input.data(), input.size());
        return true;
    } catch (const std::exception& error) {
        std::printf("failed on %s: %s\n", name.c_str(), error.what());
    }
    return false;
}

Bytes pseudo_random(std::uint64_t seed) {
    tnm::test::Random random(seed);
    Bytes bytes(static_cast<std::size_t>(random.between(8, 600)));
    const int density = random.between(1, 4);  // some inputs are mostly zero
    for (std::uint8_t& byte : bytes)
        byte = random.between(1, 4) <= density ? static_cast<std::uint8_t>(random.bits()) : 0;
    return bytes;
}

bool replay_random(std::uint64_t count, std::uint64_t first) {
    bool all = true;
    for (std::uint64_t seed = first; seed < first + count; ++seed)
        all = holds(pseudo_random(seed), "seed " + std::to_string(seed)) && all;
    return all;
}

bool replay_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        std::printf("cannot read %s\n", path.c_str());
        return false;
    }
    return holds({std::istreambuf_iterator<char>(file), {}}, path);
}

bool replay_path(const std::filesystem::path& path) {
    if (!std::filesystem::is_directory(path)) return replay_file(path);
    bool all = true;
    for (const auto& entry : std::filesystem::directory_iterator(path))
        all = replay_file(entry.path()) && all;
    return all;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc >= 3 && std::string(argv[1]) == "--count")
        return replay_random(std::stoull(argv[2]), argc > 3 ? std::stoull(argv[3]) : 0) ? 0 : 1;
    if (argc < 2) {
        std::printf("usage: %s FILE_OR_FOLDER... | --count N [SEED]\n", argv[0]);
        return 2;
    }
    bool all = true;
    for (int k = 1; k < argc; ++k) all = replay_path(argv[k]) && all;
    return all ? 0 : 1;
}
