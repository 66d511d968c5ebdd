// Protobuf messages in files, for the rooms' sources. Not installed: public headers show no protobuf.
#pragma once

#include <fmt/format.h>
#include <google/protobuf/message.h>

#include <stdexcept>
#include <string>

#include "skua/graph/sha256.h"
#include "user_file.h"

namespace skua {

enum class FileForm { kBinary, kJson };

[[nodiscard]] FileForm form_of(const std::string& path);  // kJson where the name ends in ".json"

// Throws std::runtime_error "[caller path] ..." where the file cannot be written.
void write_message(const google::protobuf::Message& message, const std::string& path, FileForm form,
                   const std::string& caller);

// Throws std::invalid_argument where the bytes do not hold the message, `what` in words.
void parse_message(google::protobuf::Message& message, const std::string& bytes, FileForm form,
                   const std::string& what);

// For messages with a field "checksum": SHA-256 (hex) of the other fields in binary form.
template <class Message>
std::string checksum_of(Message message) {
  message.clear_checksum();
  Sha256 hash;
  hash.update(message.SerializeAsString());
  return hash.hex();
}

// Reads a message and makes something of it with `convert`; each std::invalid_argument on the way gets "[caller path] "
// before its text, which becomes one line.
template <class Message, class Convert>
auto load_message(const std::string& path, FileForm form, const std::string& caller, const std::string& what,
                  Convert convert) {
  try {
    Message message;
    parse_message(message, bytes_of(path), form, what);
    return convert(message);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("[{} {}] {}", caller, path, one_line(error.what())));
  }
}

}  // namespace skua
