// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <systemd/sd-bus.h>

namespace hagring::systemd {

/// What we call of libsystemd. It is loaded at the first use, which most agents never come to: it
/// and the six libraries that it needs would cost each start a millisecond.
struct SdBus {
#define HAGRING_SD_BUS_FUNCTIONS(function)  \
  function(sd_bus_call_async);              \
  function(sd_bus_close_unref);             \
  function(sd_bus_get_events);              \
  function(sd_bus_get_fd);                  \
  function(sd_bus_message_append);          \
  function(sd_bus_message_enter_container); \
  function(sd_bus_message_get_error);       \
  function(sd_bus_message_get_member);      \
  function(sd_bus_message_new_method_call); \
  function(sd_bus_message_read);            \
  function(sd_bus_message_read_strv);       \
  function(sd_bus_message_ref);             \
  function(sd_bus_message_unref);           \
  function(sd_bus_new);                     \
  function(sd_bus_process);                 \
  function(sd_bus_set_address);             \
  function(sd_bus_set_bus_client);          \
  function(sd_bus_slot_unref);              \
  function(sd_bus_start)
#define HAGRING_DECLARE(name) decltype(&::name) name = nullptr
  HAGRING_SD_BUS_FUNCTIONS(HAGRING_DECLARE);
#undef HAGRING_DECLARE
};

/// The library's functions; null where it isn't installed, which is logged once. Any thread. It
/// stays loaded.
const SdBus* sd_bus_library();

}  // namespace hagring::systemd
