// SPDX-License-Identifier: Apache-2.0
#include "registry/oci_error.hpp"

namespace hagring::registry {
namespace {

void append_quoted(std::string& json, std::string_view text) {
  json += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  json += '"';
}

}  // namespace

std::string oci_error(std::string_view code, std::string_view message) {
  std::string json = R"({"errors":[{"code":)";
  append_quoted(json, code);
  json += R"(,"message":)";
  append_quoted(json, message);
  return json + "}]}\n";
}

}  // namespace hagring::registry
