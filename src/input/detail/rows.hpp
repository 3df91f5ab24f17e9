/// Rows of the option table, made from the fields that they fill: a row's default is the field's, and how its
/// text is read follows from the field's type.
#pragma once

#include <algorithm>
#include <charconv>
#include <optional>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "input/option_table.hpp"

namespace dwgf {

/// The shortest text that reads back as the same number.
template <class Number>
std::string number_text(Number value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

template <class Integer>
std::optional<Integer> parse_integer(const std::string& text) {
  Integer value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The options whose keys begin alike and whose fields stand in one struct, `Fields`, of a command's input.
template <class Input, class Fields = Input>
class Section {
 public:
  using Of = Fields& (*)(Input&);
  Section(std::string prefix, Of of) : prefix_(std::move(prefix)), of_(of) {}

  OptionSpec text(const std::string& name, std::string Fields::*field, std::string help) const {
    const auto same = [](const std::string& text) { return std::optional(text); };
    return row(OptionKind::text, name, field, std::move(help), same, own(field));
  }

  template <class Integer>
  OptionSpec integer(const std::string& name, Integer Fields::*field, double least, double most,
                     std::string help) const {
    return within(least, most,
                  row(OptionKind::integer, name, field, std::move(help), parse_integer<Integer>,
                      number_text(own(field))));
  }

  OptionSpec real(const std::string& name, double Fields::*field, double least, double most,
                  std::string help) const {
    const auto parse = [](const std::string& text) { return parse_double(text); };
    return within(least, most,
                  row(OptionKind::real, name, field, std::move(help), parse, number_text(own(field))));
  }

  /// One of a few words, each with its value.
  template <class Value>
  OptionSpec choice(const std::string& name, Value Fields::*field,
                    std::vector<std::pair<std::string, Value>> values, std::string help) const {
    std::string standard;
    std::vector<std::string> words;
    for (const auto& [word, value] : values) {
      words.push_back(word);
      if (value == own(field)) standard = word;
    }
    const auto parse = [values = std::move(values)](const std::string& text) -> std::optional<Value> {
      for (const auto& [word, value] : values)
        if (word == text) return value;
      return std::nullopt;
    };
    OptionSpec option = row(OptionKind::choice, name, field, std::move(help), parse, standard);
    option.choices = std::move(words);
    return option;
  }

  OptionSpec flag(const std::string& name, bool Fields::*field, std::string help) const {
    const auto parse = [](const std::string& text) { return std::optional(!text.empty()); };
    OptionSpec option = row(OptionKind::flag, name, field, std::move(help), parse, "");
    option.identity = false;
    return option;
  }

  /// Of any other type: `parse` gives nothing for what is no value of the field.
  template <class Value, class Parse>
  OptionSpec row(OptionKind kind, const std::string& name, Value Fields::*field, std::string help,
                 Parse parse, std::string standard) const {
    OptionSpec option{prefix_ + name, kind, std::move(standard), std::move(help)};
    option.assign = [of = of_, field, parse](std::any& input, const std::string& text) {
      const std::optional<Value> value = parse(text);
      if (value) of(std::any_cast<Input&>(input)).*field = *value;
      return value.has_value();
    };
    return option;
  }

  static OptionSpec within(double least, double most, OptionSpec option) {
    option.least = least;
    option.most = most;
    return option;
  }

 private:
  template <class Value>
  Value own(Value Fields::*field) const {
    Input defaults;
    return of_(defaults).*field;
  }

  std::string prefix_;
  Of of_;
};

}  // namespace dwgf
