#include "operators/operator_arrays.hpp"

#include <cctype>
#include <map>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

namespace dwgf {
namespace {

struct StageText {
  std::string name, reference, rest;  // "kernel", "k.npy", ",zero"
};

/// Which kind of array a stage takes; empty for those that take none.
std::string kind_of(const StageText& stage) {
  if (stage.name == "mask" || stage.name == "fourier") return "mask";
  if (stage.name == "kernel" || stage.name == "matrix") return stage.name;
  if (stage.name == "sense") return "coils";
  if (stage.name == "radon" && names_angles(stage.reference)) return "angles";
  return {};
}

std::vector<StageText> stages_of(const std::string& spec) {
  std::vector<StageText> stages;
  for (const std::string& part : split(spec, '|')) {
    const std::string text = trim(part);
    const std::size_t colon = text.find(':');
    StageText stage{trim(text.substr(0, colon)), {}, {}};
    if (colon != std::string::npos) {
      const std::string arguments = trim(text.substr(colon + 1));
      const std::size_t comma = arguments.find(',');
      stage.reference = trim(arguments.substr(0, comma));
      if (comma != std::string::npos) stage.rest = arguments.substr(comma);
    }
    stages.push_back(std::move(stage));
  }
  return stages;
}

/// Gives out "mask", "mask2", ...
class Names {
 public:
  std::string next(const std::string& kind) {
    const int number = ++used_[kind];
    return number == 1 ? kind : formatted("{}{}", kind, number);
  }

 private:
  std::map<std::string, int> used_;
};

}  // namespace

bool names_angles(const std::string& argument) {
  return !argument.empty() && !parse_double(argument);
}

at::Tensor load_array(const OperatorArguments& arguments, const OperatorContext& context,
                      const std::string& kind) {
  const std::string& reference = arguments.text(0);
  if (reference.empty()) arguments.refuse("no file is named", "name a .npy file");
  if (!context.load_array)
    throw InternalError("an operator takes the " + kind + " " + reference + ", and nothing can load it");
  const at::Tensor array = context.load_array(kind, reference).to(at::kCPU, at::kDouble);
  if (!at::isfinite(array).all().item<bool>()) {
    throw DataError("problem.operator: the {} '{}' holds a value that is not finite; make it again", kind,
                    reference);
  }
  if (context.on_array) context.on_array(kind, array);
  return array;
}

std::vector<ArrayUse> array_uses(const std::string& spec) {
  std::vector<ArrayUse> uses;
  Names names;
  for (const StageText& stage : stages_of(spec)) {
    const bool drawn = stage.name == "random";
    const std::string kind = drawn ? "mask" : kind_of(stage);
    if (stage.reference.starts_with("?")) continue;  // estimated
    if (!kind.empty()) uses.push_back({kind, drawn ? "" : stage.reference, names.next(kind)});
  }
  return uses;
}

std::string carried_spec(const std::string& spec, bool drawn) {
  std::string carried;
  Names names;
  const std::vector<std::string> parts = split(spec, '|');
  const std::vector<StageText> stages = stages_of(spec);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const bool random = stages[i].name == "random";
    const std::string kind = random ? "mask" : kind_of(stages[i]);
    std::string text = trim(parts[i]);
    if (!kind.empty() && !stages[i].reference.starts_with("?")) {
      const std::string reference = "@" + names.next(kind).substr(kind.size());
      if (!random || drawn)
        text = (random ? "mask" : stages[i].name) + ":" + reference + (random ? "" : stages[i].rest);
    }
    carried += (i ? " | " : "") + text;
  }
  return carried;
}

std::string array_name(const std::string& kind, const std::string& reference) {
  const std::string number = reference.substr(1);
  const bool digits =
      number.empty() || (number.size() < 3 && number.find_first_not_of("0123456789") == std::string::npos &&
                         number.front() != '0' && number != "1");
  if (reference.front() != '@' || !digits) {
    throw UsageError(
        "problem.operator: '{}' is no array of the measurements file; write @ for /operator/{}, "
        "@2 for /operator/{}2, and so on",
        reference, kind, kind);
  }
  return kind + number;
}

}  // namespace dwgf
