// SPDX-License-Identifier: Apache-2.0
#include "userspace/http/head_writer.hpp"

#include <boost/beast/http/status.hpp>

#include "userspace/http/grammar.hpp"

namespace hagring::http {
namespace {

bool is_made_by_us(std::string_view name) {
  return equals_ignoring_case(name, "Content-Length") ||
         equals_ignoring_case(name, "Transfer-Encoding") ||
         equals_ignoring_case(name, "Connection") || equals_ignoring_case(name, "Proxy-Connection");
}

void append_field(std::string& head, std::string_view name, std::string_view value) {
  head += name;
  head += ": ";
  head += value;
  head += "\r\n";
}

/// Appends the caller's fields and Connection, whose options other than close and keep-alive are
/// the caller's (`upgrade`).
Result<void> append_fields(std::string& head, const Headers& headers,
                           std::string_view persistence) {
  std::string options(persistence);
  for (const auto& [name, value] : headers) {
    // Threat: a value with a line break in it is a second field, or a second message.
    if (!is_token(name) || !is_field_value(value)) return Errc::bad_message;
    if (equals_ignoring_case(name, "Connection")) {
      for (const auto option : list_elements(value)) {
        if (equals_ignoring_case(option, "close") || equals_ignoring_case(option, "keep-alive")) {
          continue;
        }
        if (!options.empty()) options += ", ";
        options += option;
      }
    }
    if (!is_made_by_us(name)) append_field(head, name, value);
  }
  if (!options.empty()) append_field(head, "Connection", options);
  return Result<void>();
}

void append_length(std::string& head, BodyLength body) {
  if (body.kind == BodyLength::Kind::chunked) append_field(head, "Transfer-Encoding", "chunked");
  if (body.kind == BodyLength::Kind::length) {
    append_field(head, "Content-Length", std::to_string(body.bytes));
  }
}

bool expects_content(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

}  // namespace

Result<std::string> request_head(const Request& request) {
  if (!is_token(request.method) || !is_target(request.target)) return Errc::bad_message;
  // Only the end of the connection would end such a body, and with it the way for the answer.
  if (request.body.kind == BodyLength::Kind::until_close) return Errc::bad_message;
  std::string head = request.method + " " + request.target + " HTTP/1.1\r\n";
  CHECK_OK(append_fields(head, request.headers, request.keep_alive ? "" : "close"));
  if (request.body.kind == BodyLength::Kind::none && expects_content(request.method)) {
    append_field(head, "Content-Length", "0");
  }
  append_length(head, request.body);
  head += "\r\n";
  return head;
}

Result<std::string> response_head(const Response& response, bool head_only, bool to_old_client) {
  const auto status = response.status;
  if (status < 100 || status > 999 || !is_field_value(response.reason)) return Errc::bad_message;
  std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
  if (response.reason.empty()) {
    const auto reason =
        boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
    head.append(reason.data(), reason.size());
  } else {
    head += response.reason;
  }
  head += "\r\n";
  const bool interim = status / 100 == 1;
  const auto persistence = interim                ? ""
                           : !response.keep_alive ? "close"
                           : to_old_client        ? "keep-alive"
                                                  : "";
  CHECK_OK(append_fields(head, response.headers, persistence));
  // RFC 9110, section 8.6: no Content-Length with 1xx and 204.
  if (!interim && status != 204) {
    if (response.body.kind == BodyLength::Kind::none && !head_only) {
      append_field(head, "Content-Length", "0");
    }
    append_length(head, response.body);
  }
  head += "\r\n";
  return head;
}

}  // namespace hagring::http
