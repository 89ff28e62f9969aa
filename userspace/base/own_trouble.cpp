// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/own_trouble.hpp"

#include <boost/system/errc.hpp>

namespace hagring {

bool is_own_trouble(const error_code& error) noexcept {
  namespace errc = boost::system::errc;
  return error == errc::too_many_files_open || error == errc::too_many_files_open_in_system ||
         error == errc::not_enough_memory || error == errc::no_buffer_space ||
         error == errc::address_not_available;
}

}  // namespace hagring
