/// What the end-to-end tests share: a directory of their own, tiny inputs, and the program on one rank or
/// many.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.hpp"

namespace dwgf::test {

using Arguments = std::vector<std::string>;

/// For any one run here, on a machine that is busy with other tests [s]: mpirun's limit, and how long is
/// waited for it.
constexpr int kLimit = 150, kPatience = kLimit + 10;

/// The directory of this run, removed at its end.
const std::filesystem::path& workplace();
void make_workplace();
void remove_workplace();

/// A new empty folder in it.
std::filesystem::path new_folder(const std::string& name);

/// Starts the program; ranks = 0: alone, without mpirun, in a fork of the process that has LibTorch.
Process start(int ranks, const Arguments& arguments);
/// Starts any command with the same environment.
Process start_command(const std::vector<std::string>& command);
/// Starts the program and waits for it.
Finished run(int ranks, const Arguments& arguments);
/// The words that start the program on so many ranks with a time limit.
std::vector<std::string> command_line(int ranks, const Arguments& arguments);
const std::string& program();

/// The options of a small job: the prior of tests/data (3 channels, latents of 4), few steps.
Arguments small_job(const std::filesystem::path& images, const std::filesystem::path& out,
                    const Arguments& more = {});
Arguments operator+(Arguments first, const Arguments& second);
/// tests/data/prior/sd1.
std::filesystem::path small_prior();

/// A .npy of [count, 3, size, size] float32 on [-1, 1], other values for another seed.
std::filesystem::path make_array(const std::filesystem::path& path, std::int64_t count, unsigned seed = 1,
                                 std::int64_t size = 32);
/// A PNG of [height, width, 3], 8 bit.
void make_picture(const std::filesystem::path& path, unsigned seed, int height = 32, int width = 32);

void write_text(const std::filesystem::path& path, const std::string& text);
/// The first `bytes` of a file, as another one.
void cut(const std::filesystem::path& from, const std::filesystem::path& to, std::size_t bytes);

/// The program's own lines of standard error: without the paragraphs that mpirun adds when a rank returns an
/// error.
std::vector<std::string> own_lines(const std::string& err);
/// Nothing that only a developer can read: HDF5's and LibTorch's error stacks, exceptions that nobody caught,
/// stack frames.
void expect_readable(const Finished& finished);
/// Ended by itself, in time, with this code, and left no process.
void expect_code(const Finished& finished, int code);

/// Text and all its words, for messages of expectations.
bool contains(const std::string& text, const std::string& part);

}  // namespace dwgf::test
