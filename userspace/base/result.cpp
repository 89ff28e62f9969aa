// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/result.hpp"

#include <boost/asio/error.hpp>
#include <cerrno>

namespace hagring {
namespace {

class BaseCategory : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "hagring"; }

  std::string message(int value) const override {
    switch (static_cast<Errc>(value)) {
      case Errc::end_of_stream:
        return "the other side closed the connection";
      case Errc::timed_out:
        return "timed out";
      case Errc::cancelled:
        return "stopped on request";
      case Errc::bad_message:
        return "malformed message";
      case Errc::too_large:
        return "larger than allowed";
      case Errc::not_found:
        return "not found";
      case Errc::unavailable:
        return "not available";
      case Errc::unsupported:
        return "not supported here";
      case Errc::truncated:
        return "the connection ended too early";
    }
    return "unknown error " + std::to_string(value);
  }
};

}  // namespace

const boost::system::error_category& base_category() noexcept {
  static const BaseCategory category;
  return category;
}

error_code last_system_error() noexcept { return {errno, boost::system::system_category()}; }

bool is_cancelled(const error_code& error) noexcept {
  return error == Errc::cancelled || error == boost::asio::error::operation_aborted;
}

}  // namespace hagring
