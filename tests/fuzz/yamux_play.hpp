// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "dht/net/yamux.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/support/manual_clock.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::fuzz {

/// One session, its peer and its user, moved by an input's bytes. After each step the session's
/// memory and number of streams must be within its limits.
class YamuxPlay {
 public:
  /// Takes role and segment size from `input`, which must outlive this.
  explicit YamuxPlay(Input& input);
  ~YamuxPlay();

  /// Does one step and lets everything run until it waits.
  void step();
  /// The peer goes: the session and whatever waits for it must end.
  void end();

 private:
  /// A stream in the user's hands; shared with the tasks that read and write on it.
  struct Used {
    std::unique_ptr<ByteStream> stream;
    bool reading = false;
    bool writing = false;
  };

  void send_frame();
  void send_bytes(Bytes bytes);
  void peer_reads(std::size_t size);
  void accept();
  void use_stream();
  void read(std::shared_ptr<Used> used, std::size_t size);
  void write(std::shared_ptr<Used> used, std::size_t size);
  void settle();

  Input& input_;
  asio::io_context context_;
  test::ManualClock clock_;
  TaskGroup group_{context_.get_executor(), "fuzz"};
  /// Shared with the session; in the end all of it must have come back.
  std::shared_ptr<dht::YamuxBudget> budget_ = std::make_shared<dht::YamuxBudget>();
  std::size_t before_;  ///< bytes allocated
  std::unique_ptr<ByteStream> peer_;
  std::unique_ptr<dht::YamuxSession> session_;
  std::vector<std::shared_ptr<Used>> streams_;
  std::size_t segment_;   ///< the most that a read of the pipe returns
  std::size_t sent_ = 0;  ///< bytes of payloads
  bool ended_ = false;
  bool sending_ = false;
  bool receiving_ = false;
  bool written_ = false;  ///< by the user, on any stream
  bool accepting_ = false;
};

}  // namespace hagring::fuzz
