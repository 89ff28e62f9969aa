// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/own_trouble.hpp"

#include <boost/system/errc.hpp>

namespace hagring {
namespace {

class OwnCategory : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "hagring.own"; }
  std::string message(int) const override {
    return "its name doesn't resolve, and was given little time for that: see the name servers";
  }
};

}  // namespace

const boost::system::error_category& own_category() noexcept {
  static const OwnCategory category;
  return category;
}

bool is_own_trouble(const error_code& error) noexcept {
  namespace errc = boost::system::errc;
  return error == errc::too_many_files_open || error == errc::too_many_files_open_in_system ||
         error == errc::not_enough_memory || error == errc::no_buffer_space ||
         error == errc::address_not_available || error == OwnErrc::cut_short;
}

}  // namespace hagring
