// SPDX-License-Identifier: Apache-2.0
#include "userspace/systemd/service_manager.hpp"

#include <algorithm>
#include <filesystem>

#include "userspace/systemd/bus.hpp"
#include "userspace/systemd/error.hpp"

namespace hagring::systemd {
namespace {

constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr const char* kUnit = "org.freedesktop.systemd1.Unit";
constexpr const char* kService = "org.freedesktop.systemd1.Service";
constexpr const char* kProperties = "org.freedesktop.DBus.Properties";

/// Those through which a restart goes on to others (systemd.unit(5)).
constexpr std::array kPropagating{"RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf"};
/// Not before systemd 249.
constexpr const char* kPropagatingLately = "PropagatesStopTo";

/// Reads one unit's properties over one connection.
struct Reader {
  Bus& bus;
  Clock& clock;
  std::string path;
  Duration limit;

  awaitable<Result<Message>> get(std::string interface, std::string name) {
    std::vector<std::string> arguments{std::move(interface), std::move(name)};
    co_return co_await bus.call(clock, path, kProperties, "Get", std::move(arguments), limit);
  }

  awaitable<Result<std::string>> text(std::string interface, std::string name) {
    CO_TRY(const auto reply, co_await get(std::move(interface), std::move(name)));
    const char* value = nullptr;
    if (sd_bus_library()->sd_bus_message_read(reply.get(), "v", "s", &value) < 0)
      co_return Errc::failed;
    co_return std::string(value);
  }

  awaitable<Result<std::vector<std::string>>> texts(std::string name) {
    CO_TRY(const auto reply, co_await get(kUnit, std::move(name)));
    std::vector<std::string> values;
    char** list = nullptr;
    if (sd_bus_library()->sd_bus_message_enter_container(reply.get(), 'v', "as") < 0 ||
        sd_bus_library()->sd_bus_message_read_strv(reply.get(), &list) < 0) {
      co_return Errc::failed;
    }
    for (char** entry = list; entry && *entry; ++entry) {
      values.emplace_back(*entry);
      ::free(*entry);
    }
    ::free(static_cast<void*>(list));
    co_return values;
  }
};

awaitable<Result<std::vector<std::string>>> dependents_of(Reader& reader) {
  std::vector<std::string> all;
  for (const char* property : kPropagating) {
    CO_TRY(const auto some, co_await reader.texts(property));
    all.insert(all.end(), some.begin(), some.end());
  }
  const auto late = co_await reader.texts(kPropagatingLately);
  if (late) all.insert(all.end(), late->begin(), late->end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  co_return all;
}

}  // namespace

std::string service_of(const std::string& cgroup_path) {
  std::string found;
  for (const auto& part : std::filesystem::path(cgroup_path)) {
    if (part.extension() == ".service") found = part.string();
  }
  return found;
}

std::string bus_socket_below(const std::string& mounted_root) {
  return mounted_root + "/run/dbus/system_bus_socket";
}

awaitable<Result<Unit>> ServiceManager::inspect(std::string name) {
  CO_TRY(auto bus, Bus::open(socket_));
  std::vector<std::string> arguments{name};
  CO_TRY(const auto reply, co_await bus.call(clock_, kManagerPath, kManager, "GetUnit",
                                             std::move(arguments), limit_));
  const char* path = nullptr;
  if (sd_bus_library()->sd_bus_message_read(reply.get(), "o", &path) < 0) co_return Errc::failed;
  Reader reader{bus, clock_, path, limit_};
  Unit unit{.name = std::move(name)};
  CO_TRY(unit.active_state, co_await reader.text(kUnit, "ActiveState"));
  CO_TRY(unit.control_group, co_await reader.text(kService, "ControlGroup"));
  CO_TRY(unit.dependents, co_await dependents_of(reader));
  co_return unit;
}

awaitable<Result<void>> ServiceManager::restart(std::string name) {
  CO_TRY(auto bus, Bus::open(socket_));
  std::vector<std::string> arguments{std::move(name), "replace"};
  CO_TRY(const auto job, co_await bus.call(clock_, kManagerPath, kManager, "RestartUnit",
                                           std::move(arguments), limit_));
  co_return Result<void>();
}

}  // namespace hagring::systemd
