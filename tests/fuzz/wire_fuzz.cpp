// SPDX-License-Identifier: Apache-2.0
// Protobuf fields: what is read is the same when it is written anew.
#include "userspace/base/wire.hpp"

#include "tests/fuzz/require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring::proto;
  using hagring::fuzz::require;
  Reader reader({data, size});
  Writer writer;
  std::vector<Field> fields;
  while (const auto field = reader.next()) {
    fields.push_back(*field);
    if (field->is_bytes) {
      require(field->bytes.data() >= data);
      require(field->bytes.data() + field->bytes.size() <= data + size);
      writer.text(field->number, field->text());
    } else {
      writer.number(field->number, field->value);
    }
  }
  require(fields.size() <= size / 2);
  require(!reader.next());
  const auto again = writer.take();
  Reader second(again);
  for (const Field& field : fields) {
    const auto read = second.next();
    require(read && read->number == field.number && read->is_bytes == field.is_bytes);
    require(read->value == field.value || field.is_bytes);
    require(read->text() == field.text());
  }
  require(!second.next() && !second.malformed());
  return 0;
}
