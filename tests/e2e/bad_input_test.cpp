// Inputs that are damaged, foreign or not there: exit code 65 or 66.
#include <limits>

#include <gtest/gtest.h>

#include "data/npy.hpp"
#include "refusals.hpp"
#include "store/mutation.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class BadInput : public testing::Test {
 protected:
  fs::path folder = new_folder("input");
  fs::path images = make_array(folder / "images.npy", 2);
  fs::path out = folder / "never.h5";

  Arguments data(const fs::path& path) const { return small_job(path, out); }
  Arguments prior(const fs::path& path) const {
    return small_job(images, out, {"--prior.path", path.string()});
  }

  /// A copy of the small prior in which one file is changed by a function of its text.
  template <class Change>
  fs::path changed_prior(const std::string& name, const std::string& file, Change change) const {
    const fs::path copy = folder / name;
    fs::copy(small_prior(), copy, fs::copy_options::recursive);
    const std::string text = change(read_text(copy / file));
    fs::remove(copy / file);
    write_text(copy / file, text);
    return copy;
  }
  /// A .npy whose header says this.
  fs::path array_of(const std::string& name, const std::string& type, const std::string& order,
                    const std::string& shape, std::size_t bytes) const {
    std::string header =
        "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
    header.resize(117, ' ');
    write_text(folder / name,
               std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "\n" + std::string(bytes, '\0'));
    return folder / name;
  }
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("the test's prior has no " + from);
  return text.replace(at, from.size(), to);
}

TEST_F(BadInput, WhatIsNotThereIsNamed) {
  expect_refusals({
      {"images", data(folder / "absent.npy"), 66, {"input.data", "absent.npy"}},
      {"folder of images", data(folder / "absent"), 66, {"input.data", "absent", "folder"}},
      {"prior", prior(folder / "absent-prior"), 66, {"prior.path", "absent-prior", "builtin:fashion"}},
      {"built-in prior", prior("builtin:faces"), 66, {"prior.path", "faces", "builtin:fashion"}},
      {"context",
       small_job(images, out, {"--prior.context", (folder / "absent.npy").string()}),
       66,
       {"absent.npy"}},
      {"results", {"evaluate", (folder / "absent.h5").string()}, 66, {"absent.h5"}},
      {"results for status", {"status", (folder / "absent.h5").string()}, 66, {"absent.h5"}},
      {"dataset of a results file", data("absent.h5:/truth/x"), 66, {"absent.h5"}},
  });
}

TEST_F(BadInput, ArraysThatAreNoImagesAreNamed) {
  cut(images, folder / "cut.npy", fs::file_size(images) - 100);
  cut(images, folder / "header.npy", 20);
  write_text(folder / "foreign.npy", "these are not the bytes of an array\n");
  write_text(folder / "images.txt", "text");
  write_text(folder / "empty.npy", "");
  fs::create_directory(folder / "no-pictures");
  expect_refusals({
      {"truncated", data(folder / "cut.npy"), 65, {"cut.npy", "truncated"}},
      {"header truncated", data(folder / "header.npy"), 65, {"header.npy"}},
      {"foreign", data(folder / "foreign.npy"), 65, {"foreign.npy"}},
      {"empty", data(folder / "empty.npy"), 65, {"empty.npy"}},
      {"of no known kind", data(folder / "images.txt"), 65, {"images.txt", ".npy"}},
      {"folder without pictures",
       data(folder / "no-pictures"),
       65,
       {"no-pictures", "no PNG, JPEG, TIFF or WebP file"}},
      {"whole numbers",
       data(array_of("int.npy", "<i8", "False", "(1, 3, 32, 32)", 24576)),
       65,
       {"int.npy", "i8", "float32"}},
      {"Fortran order",
       data(array_of("f.npy", "<f4", "True", "(1, 3, 32, 32)", 12288)),
       65,
       {"f.npy", "ortran"}},
      {"two axes", data(array_of("flat.npy", "<f4", "False", "(32, 32)", 4096)), 65, {"flat.npy", "C, H, W"}},
      {"five channels",
       data(array_of("five.npy", "<f4", "False", "(1, 5, 32, 32)", 20480)),
       65,
       {"five.npy", "5", "channels"}},
      {"no image", data(array_of("none.npy", "<f4", "False", "(0, 3, 32, 32)", 0)), 65, {"none.npy"}},
  });
}

TEST_F(BadInput, PriorsThatAreDamagedOrInconsistentAreNamed) {
  const std::string weights = "unet/diffusion_pytorch_model.safetensors", config = "unet/config.json";
  const auto halved = [](const std::string& text) { return text.substr(0, text.size() / 2); };
  fs::copy(small_prior(), folder / "no-vae", fs::copy_options::recursive);
  fs::remove_all(folder / "no-vae/vae");
  expect_refusals({
      {"weights truncated", prior(changed_prior("p1", weights, halved)), 65, {"p1", "safetensors"}},
      {"weights foreign",
       prior(changed_prior("p2", weights,
                           [](const std::string&) { return std::string("<html>not found</html>"); })),
       65,
       {"p2", "safetensors"}},
      {"weights empty",
       prior(changed_prior("p3", weights, [](const std::string&) { return std::string(); })),
       65,
       {"p3"}},
      {"tensor of another name",
       prior(changed_prior(
           "p4", weights,
           [](const std::string& text) { return replaced(text, "conv_in.weight", "conv_in.wEight"); })),
       65,
       {"p4", "conv_in.w"}},
      {"shapes against the configuration",
       prior(changed_prior("p5", config,
                           [](const std::string& text) {
                             return replaced(text, "\"cross_attention_dim\": 8",
                                             "\"cross_attention_dim\": 12");
                           })),
       65,
       {"p5", "attn2", "12", "8"}},
      {"configuration truncated", prior(changed_prior("p6", config, halved)), 65, {"p6", "config.json"}},
      {"configuration of another model",
       prior(changed_prior("p7", config,
                           [](const std::string& text) {
                             return replaced(text, "CrossAttnDownBlock2D", "WobblyDownBlock2D");
                           })),
       65,
       {"p7", "WobblyDownBlock2D"}},
      {"autoencoder missing", prior(folder / "no-vae"), 66, {"no-vae", "vae"}},
  });
}

TEST_F(BadInput, ContextsThatDoNotFitThePriorAreNamed) {
  std::vector<float> values(3 * 8, 0.1f);
  write_npy((folder / "wide.npy").string(), {1, 2, 12}, values);
  write_npy((folder / "flat.npy").string(), {3, 8}, values);
  values[5] = std::numeric_limits<float>::quiet_NaN();
  write_npy((folder / "nan.npy").string(), {1, 3, 8}, values);
  const auto job = [&](const char* name) {
    return small_job(images, out, {"--prior.context", (folder / name).string()});
  };
  expect_refusals({
      {"another width", job("wide.npy"), 65, {"[1, 2, 12]", "[1, tokens, 8]"}},
      {"two axes", job("flat.npy"), 65, {"prior.context", "flat.npy", "[1, tokens, dim]"}},
      {"not finite", job("nan.npy"), 65, {"prior.context", "nan.npy", "finite"}},
  });
}

// Some of the damaged files that libhdf5 1.10 does not survive: a process of its own reads them first.
TEST_F(BadInput, FilesThatCrashTheHdf5LibraryAreRefusedInWords) {
  const fs::path whole = fs::path(DWGF_TEST_DATA) / "measurements";
  const auto damaged = [&](const std::string& name, const std::string& from, std::uint32_t number) {
    std::string content = read_text(whole / from);
    Mutator(number).change(content);
    write_text(folder / name, content);
    return folder / name;
  };
  const fs::path measured = damaged("measured.h5", "h5py.h5", 1467);
  const std::string pictures = damaged("pictures.h5", "fixed-texts.h5", 68).string() + ":/measurement/y";
  expect_refusals({
      {"measurements", data(measured), 65, {"input.data", "measured.h5", "damaged"}},
      // What this one does depends on what memory holds: the library ends the process, or reads nonsense.
      {"measurements, in the second reader only",
       data(damaged("second.h5", "fixed-texts.h5", 2072)),
       65,
       {"second.h5"}},
      {"images", data(pictures), 65, {"input.data", "pictures.h5", "damaged"}},
      {"prior", prior(measured), 65, {"prior.path", "measured.h5", "damaged"}},
      {"results", {"verify", measured}, 65, {"measured.h5", "damaged"}},
  });
}

TEST_F(BadInput, ResultsThatAreDamagedOrForeignAreNamed) {
  const fs::path whole = folder / "whole.h5";
  expect_code(run(0, small_job(images, whole)), 0);
  cut(whole, folder / "cut.h5", fs::file_size(whole) / 2);
  write_text(folder / "foreign.h5", "these are not results\n");
  const std::string cut_file = folder / "cut.h5", foreign = folder / "foreign.h5";
  expect_refusals({
      {"evaluate truncated", {"evaluate", cut_file}, 65, {"cut.h5", "truncated"}},
      {"status foreign", {"status", foreign}, 65, {"foreign.h5", "not"}},
      {"verify foreign", {"verify", foreign}, 65, {"foreign.h5", "not"}},
      {"export truncated",
       {"export", cut_file, "--to", (folder / "pictures").string()},
       65,
       {"cut.h5", "truncated"}},
      {"evaluate a folder", {"evaluate", folder.string()}, 65, {folder.string()}},
      {"dataset that is not there", data(whole.string() + ":/truth/z"), 65, {"/truth/z", "whole.h5"}},
  });
  EXPECT_FALSE(fs::exists(folder / "pictures"));
}

}  // namespace
}  // namespace dwgf::test
