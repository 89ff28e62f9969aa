// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/code_pages.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "userspace/base/unique_fd.hpp"

namespace hagring {
namespace {

/// What a fault maps at once: fault_around_bytes of the kernel.
constexpr std::size_t kFaultAround = 65536;

/// Alone in its part of the code, so that a fault of what runs beside doesn't map it.
#define HAGRING_ALONE \
  [[gnu::noinline, gnu::used, gnu::aligned(kFaultAround), gnu::section(".text.hagring_alone")]]
HAGRING_ALONE int cold(int x) { return x * 3 + 1; }
HAGRING_ALONE void behind_it() {}
#undef HAGRING_ALONE

std::uintptr_t page_size() { return static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE)); }

/// /proc/self/pagemap's entry of the page with `address`.
std::uint64_t entry_of(const void* address) {
  const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  std::uint64_t entry = 0;
  const auto at = reinterpret_cast<std::uintptr_t>(address) / page_size() * sizeof(entry);
  EXPECT_EQ(::pread(pagemap.get(), &entry, sizeof(entry), static_cast<off_t>(at)),
            static_cast<ssize_t>(sizeof(entry)));
  return entry;
}

bool is_mapped(const void* address) { return (entry_of(address) >> 63) != 0; }
bool is_of_file(const void* address) { return (entry_of(address) >> 61 & 1) != 0; }

TEST(CodePages, AreUnmappedAndComeBackWhenTheyAreUsed) {
  int (*volatile function)(int) = &cold;
  EXPECT_EQ(function(2), 7);
  const auto* address = reinterpret_cast<const void*>(&cold);
  ASSERT_TRUE(is_mapped(address));
  EXPECT_GT(unmap_code(), kFaultAround);
  EXPECT_FALSE(is_mapped(address));
  EXPECT_EQ(function(3), 10);
  EXPECT_TRUE(is_mapped(address));
}

TEST(CodePages, AreLeftWhereSomebodyHasWrittenIntoThem) {
  const auto address = reinterpret_cast<std::uintptr_t>(&cold) / page_size() * page_size();
  auto* page = reinterpret_cast<void*>(address);
  ASSERT_EQ(::mprotect(page, page_size(), PROT_READ | PROT_WRITE | PROT_EXEC), 0);
  auto* byte = static_cast<volatile unsigned char*>(page);
  const unsigned char value = *byte;
  *byte = value;  // as a breakpoint is set: the page is this process's own now
  ASSERT_EQ(::mprotect(page, page_size(), PROT_READ | PROT_EXEC), 0);
  ASSERT_FALSE(is_of_file(page));
  unmap_code();
  EXPECT_TRUE(is_mapped(page));
  EXPECT_FALSE(is_of_file(page)) << "the copy is lost, and what was written with it";
}

}  // namespace
}  // namespace hagring
