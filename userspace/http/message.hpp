// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hagring::http {

/// Header fields in the order in which they came; names are compared without regard to case
/// (RFC 9110, section 5.1).
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  /// The first field of that name.
  std::optional<std::string_view> get(std::string_view name) const;
  bool contains(std::string_view name) const { return get(name).has_value(); }
  /// Adds a field, whatever is there already.
  void add(std::string name, std::string value);
  /// Replaces all fields of that name by one.
  void set(std::string name, std::string value);
  void erase(std::string_view name);

  std::vector<Field>::const_iterator begin() const { return fields_.begin(); }
  std::vector<Field>::const_iterator end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

/// How a message's body is delimited (RFC 9112, section 6.3).
struct BodyLength {
  enum class Kind { none, length, chunked, until_close };
  Kind kind = Kind::none;
  std::uint64_t bytes = 0;  ///< with Kind::length
};

/// The head of an HTTP/1.x request.
struct Request {
  std::string method = "GET";
  std::string target = "/";  ///< as on the wire: origin-form, or absolute or authority form
  Headers headers{};
  BodyLength body{};
  bool keep_alive = true;        ///< what the client asked for
  bool expect_continue = false;  ///< `Expect: 100-continue`
  unsigned version_minor = 1;    ///< HTTP/1.0 or 1.1
};

/// The head of an HTTP/1.x response.
struct Response {
  unsigned status = 200;
  std::string reason{};  ///< empty: the standard phrase is written
  Headers headers{};
  BodyLength body{};
  bool keep_alive = true;
  unsigned version_minor = 1;
};

}  // namespace hagring::http
