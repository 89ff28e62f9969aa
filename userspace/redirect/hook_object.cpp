// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/hook_object.hpp"

#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "redirect.skel.h"
#include "userspace/base/log.hpp"
#include "userspace/base/result.hpp"

namespace hagring::redirect {
namespace {

/// The end of a verifier's log is where the reason stands.
constexpr std::size_t kLogTail = 2000;

thread_local std::string* log_tail = nullptr;

int keep_tail(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG || log_tail == nullptr) return 0;
  std::array<char, 8192> line;
  va_list copy;
  va_copy(copy, arguments);
  std::vsnprintf(line.data(), line.size(), format, copy);
  va_end(copy);
  log_tail->append(line.data());
  if (log_tail->size() > kLogTail) log_tail->erase(0, log_tail->size() - kLogTail);
  return 0;
}

/// Collects what libbpf says on this thread.
class LibbpfLog {
 public:
  LibbpfLog() {
    log_tail = &text_;
    previous_ = libbpf_set_print(keep_tail);
  }
  ~LibbpfLog() {
    libbpf_set_print(previous_);
    log_tail = nullptr;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  libbpf_print_fn_t previous_;
};

[[noreturn]] void fail(const char* step, int error, const LibbpfLog& log) {
  throw StartError(fmt::format(
      "the connect hook could not be {}: {}. It needs Linux 5.10 or later with CONFIG_CGROUP_BPF "
      "and CONFIG_BPF_SYSCALL, and CAP_BPF and CAP_NET_ADMIN. libbpf says:\n{}",
      step, std::strerror(error), log.text()));
}

}  // namespace

void FreeHookObject::operator()(redirect_bpf* object) const noexcept {
  redirect_bpf::destroy(object);
}

HookObject load_hook_object(std::uint32_t max_flows, bool netns_cookie_known) {
  const LibbpfLog log;
  HookObject object(redirect_bpf::open());
  if (!object) fail("opened", errno, log);
  object->rodata->netns_cookie_known = netns_cookie_known ? 1 : 0;
  if (const int error = bpf_map__set_max_entries(object->maps.flows, max_flows); error != 0) {
    fail("configured", -error, log);
  }
  if (const int error = redirect_bpf::load(object.get()); error != 0) fail("loaded", -error, log);
  return object;
}

MappedConfig::MappedConfig(int map_fd)
    : length_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
  void* memory = ::mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (memory == MAP_FAILED) {
    throw StartError(fmt::format("the hook's map `config` could not be mapped into memory: {}",
                                 std::strerror(errno)));
  }
  config_ = static_cast<abi::config*>(memory);
}

MappedConfig::~MappedConfig() { ::munmap(config_, length_); }

}  // namespace hagring::redirect
