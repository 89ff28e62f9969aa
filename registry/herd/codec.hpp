// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <type_traits>
#include <vector>

#include "registry/herd/herd_id.hpp"
#include "userspace/base/wire.hpp"

namespace hagring::herd {

/// Writes the fields that a `describe(codec, struct)` names; zero and empty ones are left out, as
/// proto3 does. FieldReader takes the same calls and reads.
class FieldWriter {
 public:
  template <typename T>
  void number(std::uint32_t field, const T& value, std::uint64_t /*most*/,
              std::uint64_t /*least*/ = 0) {
    if (const auto plain = static_cast<std::uint64_t>(value); plain != 0) {
      writer_.number(field, plain);
    }
  }
  /// One field a stripe, `field` and the following numbers.
  void per_stripe(std::uint32_t field, const PerStripe& values, std::uint64_t most) {
    for (std::size_t s = 0; s < kStripes; ++s)
      number(field + static_cast<std::uint32_t>(s), values[s], most);
  }
  void text(std::uint32_t field, const std::string& value, std::size_t /*most*/,
            std::size_t /*least*/ = 0) {
    if (!value.empty()) writer_.text(field, value);
  }
  void bytes(std::uint32_t field, const Bytes& value, std::size_t /*most*/) {
    if (!value.empty()) writer_.bytes(field, value);
  }
  /// A list: `write` makes the bytes of an element, FieldReader's `read` takes them.
  template <typename T, typename Write, typename Read>
  void list(std::uint32_t field, const std::vector<T>& values, std::size_t /*most*/, Write write,
            Read /*read*/) {
    for (const T& value : values) writer_.bytes(field, write(value));
  }
  Bytes take() { return writer_.take(); }

 private:
  proto::Writer writer_;
};

/// Reads fields; whatever is beyond its limits makes the whole message bad.
class FieldReader {
 public:
  explicit FieldReader(ByteView message) {
    proto::Reader reader(message);
    while (const auto field = reader.next()) fields_.push_back(*field);
    good_ = !reader.malformed();
  }

  template <typename T>
  void number(std::uint32_t field, T& value, std::uint64_t most, std::uint64_t least = 0) {
    const proto::Field* found = find(field, false);
    const std::uint64_t plain = found != nullptr ? found->value : 0;
    good_ = good_ && plain >= least && plain <= most;
    if (good_) value = static_cast<T>(plain);
  }
  void per_stripe(std::uint32_t field, PerStripe& values, std::uint64_t most) {
    for (std::size_t s = 0; s < kStripes; ++s) {
      number(field + static_cast<std::uint32_t>(s), values[s], most);
    }
  }
  void text(std::uint32_t field, std::string& value, std::size_t most, std::size_t least = 0) {
    const proto::Field* found = find(field, true);
    const std::string_view text = found != nullptr ? found->text() : std::string_view();
    good_ = good_ && text.size() >= least && text.size() <= most;
    if (good_) value = text;
  }
  void bytes(std::uint32_t field, Bytes& value, std::size_t most) {
    const proto::Field* found = find(field, true);
    if (found == nullptr) return;
    good_ = good_ && found->bytes.size() <= most;
    if (good_) value.assign(found->bytes.begin(), found->bytes.end());
  }
  /// `read(bytes, T&)` says whether an element is good.
  template <typename T, typename Write, typename Read>
  void list(std::uint32_t field, std::vector<T>& values, std::size_t most, Write /*write*/,
            Read read) {
    for (const proto::Field& each : fields_) {
      if (each.number != field) continue;
      T value{};
      good_ = good_ && each.is_bytes && values.size() < most && read(each.bytes, value);
      if (!good_) return;
      values.push_back(std::move(value));
    }
  }
  bool good() const { return good_; }

 private:
  /// The last one of this number, as protobuf has it.
  const proto::Field* find(std::uint32_t number, bool is_bytes) {
    const auto found = std::find_if(fields_.rbegin(), fields_.rend(),
                                    [&](const auto& field) { return field.number == number; });
    if (found == fields_.rend()) return nullptr;
    good_ = good_ && found->is_bytes == is_bytes;
    return &*found;
  }

  std::vector<proto::Field> fields_;
  bool good_ = true;
};

}  // namespace hagring::herd
