#include "message_file.h"

#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>

#include <fstream>

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

void parse_message(google::protobuf::Message& message, const std::string& bytes, FileForm form,
                   const std::string& what) {
  const google::protobuf::LogSilencer silence;  // the exception says it
  if (form == FileForm::kBinary) {
    if (!message.ParseFromString(bytes)) {
      throw std::invalid_argument(fmt::format("expected {}, got damaged bytes", what));
    }
    return;
  }
  const auto status = google::protobuf::util::JsonStringToMessage(bytes, &message);
  if (status.ok()) return;
  std::string why = one_line(status.ToString());
  why.erase(why.find_last_not_of(" ^") + 1);  // it pointed at a place in the line above
  throw std::invalid_argument(fmt::format("expected {} in JSON, got {}", what, why));
}

}  // namespace skua
