// A spec that cannot be meant is refused with a message that names what is wrong and what would be right.
#include <operators/operator_cases.hpp>

#include <dwgf/base/error.hpp>

namespace dwgf::test {
namespace {

struct Fault {
  std::string spec;
  std::vector<std::string> said;
};

void expect_refused(const Fault& fault, const ImageShape& shape) {
  try {
    make({fault.spec, shape});
    ADD_FAILURE() << "'" << fault.spec << "' was accepted";
  } catch (const UsageError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find("problem.operator: "), 0u) << message;
    for (const std::string& part : fault.said)
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not said in: " << message;
  }
}

TEST(OperatorSpec, RefusesWhatItCannotMean) {
  const ImageShape shape{3, 12, 18};
  for (const Fault& fault : std::vector<Fault>{
           {"", {"no operator given", "identity"}},
           {"  ", {"no operator given"}},
           {"mean:2 |", {"one side of a '|'", "'mean:2 |'"}},
           {"| mean:2", {"one side of a '|'"}},
           {"maen:2", {"unknown operator 'maen'", "nearest: 'mean'", "bicubic"}},
           {"mean:2 | blru:3,1", {"unknown operator 'blru' in 'mean:2 | blru:3,1'", "nearest: 'blur'"}},
           {"tomographie", {"unknown operator 'tomographie'", "known are identity, box"}},
           {"identity:1", {"'identity:1'", "found 1 argument where 0"}},
           {"mean", {"'mean'", "found 0 arguments where 1", "write `mean:r`"}},
           {"mean:2,2", {"found 2 arguments where 1"}},
           {"mean:2.0", {"'mean:2.0'", "the factor '2.0' is not an integer"}},
           {"mean:x", {"the factor 'x' is not an integer"}},
           {"mean:0", {"the factor is 0", "at least 1"}},
           {"mean:-2", {"the factor is -2"}},
           {"mean:99999999999999999999", {"not an integer"}},
           {"mean:4", {"does not divide the width 18", "3 x 12 x 18", "divisor of 6"}},
           {"mean:9", {"does not divide the height 12"}},
           {"bicubic:13", {"the factor 13 leaves nothing", "3 x 12 x 18", "12 at most"}},
           {"bicubic:2 | mean:2", {"'mean:2'", "does not divide the width 9", "3 x 6 x 9"}},
           {"motion:4,0", {"size 4 is even"}},
           {"motion:5", {"found 1 argument where 2 to 3"}},
           {"motion:5,up", {"the angle 'up' is not a finite number"}},
           {"defocus:0", {"the radius is 0", "above 0"}},
           {"defocus:3000,zero", {"the radius is 3000", "2047"}},
           {"motion:25,3", {"size 25 is too large", "23 at most"}},
           {"motion:4097,0,zero", {"size is 4097", "4095 at most"}},
           {"kernel:", {"found 0 arguments where 1 to 2"}},
           {"kernel:4x3", {"the kernel has the shape [4, 3]", "both odd"}},
           {"kernel:3", {"the kernel has the shape [3]"}},
           {"kernel:25x3", {"size 25 is too large"}},
           {"kernel:3x3,wrap", {"unknown border 'wrap'"}},
           {"mask:12x17", {"the mask has the shape [12, 17]", "[12, 18] or [3, 12, 18]"}},
           {"fourier:1x12x18", {"the mask has the shape [1, 12, 18]"}},
           {"matrix:4x5", {"the matrix has the shape [4, 5]", "[m, 648]"}},
           {"radon:0", {"views is 0", "at least 1"}},
           {"radon:70000", {"views is 70000", "65535 at most"}},
           {"radon:3,10", {"the last angle is missing"}},
           {"radon:3,10,10", {"the angles are all one"}},
           {"radon:3,a,10", {"the first angle 'a' is not a finite number"}},
           {"radon:5x1,2", {"found 2 arguments where 1"}},
           {"radon:", {"found 0 arguments where 1 to 3"}},
           {"fourier:12x18,real", {"'real' is not 'complex'"}},
           {"fourier:12x18,complex", {"3 channels", "real and imaginary parts", "sense:FILE"}},
           {"sense:2x4x12x18", {"the images have 3 channels", "grey"}},
           {"radon:3 | fourier:12x18", {"the mask has the shape [12, 18]", "3 x 3 x 23"}},
           {"matrix:4x648 | mean:2", {"'mean:2'", "not an image", "put it first"}},
           {"quantise:1", {"levels is 1", "at least 2"}},
           {"quantise:65537", {"65536 at most"}},
           {"jpeg:0", {"quality is 0"}},
           {"jpeg:101", {"100 at most"}},
           {"box:1,2,3", {"found 3 arguments where 4", "box:top,left,height,width"}},
           {"box:1,2,,3", {"height '' is not an integer"}},
           {"box:-1,0,2,2", {"top is -1", "at least 0"}},
           {"box:0,0,0,2", {"height is 0", "at least 1"}},
           {"box:10,0,3,2", {"the box leaves the image: 3 rows from row 10 on, where there are 12"}},
           {"box:0,18,1,1", {"1 columns from column 18 on, where there are 18", "3 x 12 x 18"}},
           {"box:0,9223372036854775807,1,9223372036854775807", {"leaves the image"}},
           {"box:0,0,12,18", {"covers the whole image"}},
           {"random", {"found 0 arguments where 1"}},
           {"random:1", {"the missing fraction is 1", "below 1"}},
           {"random:-0.1", {"the missing fraction is -0.1"}},
           {"random:nan", {"the missing fraction 'nan' is not a finite number"}},
           {"random:70%", {"'70%' is not a finite number"}},
           {"blur:5", {"found 1 argument where 2 to 3"}},
           {"blur:4,1", {"size 4 is even"}},
           {"blur:5.5,1", {"size '5.5' is not an integer"}},
           {"blur:5,0", {"std is 0", "above 0"}},
           {"blur:5,-1", {"std is -1"}},
           {"blur:5,inf", {"std 'inf' is not a finite number"}},
           {"blur:5,1,reflekt", {"unknown border 'reflekt'", "nearest: 'reflect'"}},
           {"blur:25,3", {"size 25 is too large", "3 x 12 x 18", "23 at most"}},
           {"blur:27,3,circular", {"size 27 is too large", "25 at most"}},
           {"hdr:2", {"found 1 argument where 0"}},
           {"phase:-1", {"oversample is -1", "0 ... 32"}},
           {"phase:33", {"oversample is 33"}},
           {"phase:1,2", {"found 2 arguments where 0 to 1"}},
           {"box:0,0,6,18 | box:6,0,6,18", {"nothing observed"}}})
    expect_refused(fault, shape);
  expect_refused({"grey", {"the image has 1 channel", "3 channels"}}, {1, 8, 8});
  expect_refused({"sense:4x8x8", {"the maps have the shape [4, 8, 8]", "[2, coils, 8, 8]"}}, {1, 8, 8});
  expect_refused({"random:0.999", {"no pixel", "1 x 1 x 2", "lower the missing fraction"}}, {1, 1, 2});
}

TEST(OperatorSpec, TakesWhatIsJustInside) {
  for (const char* spec :
       {"box:0,0,12,17", "box:11,17,1,1", "blur:23,3", "blur:25,3,circular", "blur:101,3,zero", "mean:6",
        "random:0", "random:0.99", "phase:32", "phase:", " identity ", "bicubic:5", "bicubic:12",
        "motion:23,10", "kernel:25x37,circular", "quantise:65536", "jpeg:1", "jpeg:100", "radon:1"})
    EXPECT_NO_THROW(make({spec, {3, 12, 18}})) << spec;
}

}  // namespace
}  // namespace dwgf::test
