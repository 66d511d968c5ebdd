#include "message_file.h"

#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>

#include <fstream>
#include <sstream>

namespace skua {

FileForm form_of(const std::string& path) {
  return path.ends_with(".json") ? FileForm::kJson : FileForm::kBinary;
}

void write_message(const google::protobuf::Message& message, const std::string& path, FileForm form,
                   const std::string& caller) {
  std::string bytes;
  bool success = true;
  if (form == FileForm::kJson) {
    google::protobuf::util::JsonPrintOptions options;
    options.add_whitespace = true;
    success = google::protobuf::util::MessageToJsonString(message, &bytes, options).ok();
  } else {
    success = message.SerializeToString(&bytes);
  }
  if (!success) throw std::runtime_error(fmt::format("[{} {}] the content cannot be encoded", caller, path));
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) throw std::runtime_error(fmt::format("[{} {}] the file cannot be written", caller, path));
}

void read_message(google::protobuf::Message& message, const std::string& path, FileForm form, const std::string& what) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  const bool readable = in && (in.peek() == std::ifstream::traits_type::eof() ? !in.bad() : bool(bytes << in.rdbuf()));
  if (!readable) throw std::invalid_argument("expected a file, got none that can be read");
  const google::protobuf::LogSilencer silence;  // the exception says it
  if (form == FileForm::kBinary) {
    if (!message.ParseFromString(bytes.str())) {
      throw std::invalid_argument(fmt::format("expected {}, got damaged bytes", what));
    }
    return;
  }
  const auto status = google::protobuf::util::JsonStringToMessage(bytes.str(), &message);
  if (!status.ok()) throw std::invalid_argument(fmt::format("expected {} in JSON, got {}", what, status.ToString()));
}

}  // namespace skua
