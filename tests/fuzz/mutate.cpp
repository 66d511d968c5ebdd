// Runs a fuzz target without libFuzzer: fuzz_NAME [-runs=N] FILE|FOLDER... runs each file as it is, then N inputs that
// are files with a few changes at random, the same in every run. The input under way is kept in a file, so that
// it can be run again after a crash.
#include <algorithm>
#include <filesystem>
#include <new>
#include <vector>

#include "fuzz.h"
#include "skua/graph/random.h"

namespace {

// More at once than any file of the corpus is worth. Sanitizers alone would not mind.
constexpr std::size_t kMostBytes = std::size_t{1} << 28;

void* take(std::size_t bytes) {
  if (bytes > kMostBytes) {
    std::fprintf(stderr, "fuzz: expected at most %zu bytes of memory at once, got %zu\n", kMostBytes, bytes);
    std::abort();
  }
  void* const data = std::malloc(std::max<std::size_t>(bytes, 1));
  if (data == nullptr) throw std::bad_alloc();
  return data;
}

}  // namespace

void* operator new(std::size_t bytes) {
  return take(bytes);
}
void* operator new[](std::size_t bytes) {
  return take(bytes);
}
void operator delete(void* data) noexcept {
  std::free(data);
}
void operator delete(void* data, std::size_t) noexcept {
  std::free(data);
}
void operator delete[](void* data) noexcept {
  std::free(data);
}
void operator delete[](void* data, std::size_t) noexcept {
  std::free(data);
}

namespace skua::test {
namespace {

template <class Items>
const auto& any(const Items& items, Random& random) {
  return *(std::begin(items) + static_cast<std::ptrdiff_t>(random.below(std::size(items))));
}

class Mutator {
 public:
  explicit Mutator(std::vector<std::string> corpus) : corpus_(std::move(corpus)) {}

  // A file of the corpus after one to four changes.
  std::string next() {
    std::string bytes = any(corpus_, random_);
    for (std::uint64_t changes = 1 + random_.below(4); changes > 0; --changes) change(bytes);
    return bytes;
  }

 private:
  char any_byte() { return static_cast<char>(random_.below(256)); }
  std::size_t place(const std::string& bytes) { return random_.below(bytes.size() + 1); }
  std::size_t span(const std::string& bytes, std::size_t from) {
    return random_.below(std::min<std::size_t>(bytes.size() - from, 64) + 1);
  }

  void change(std::string& bytes) {
    const std::size_t at = place(bytes);
    switch (random_.below(7)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ 1 << random_.below(8));
        break;
      case 1:
        bytes.insert(at, 1, any_byte());
        break;
      case 2:
        bytes.erase(at, span(bytes, at));
        break;
      case 3:
        bytes.insert(place(bytes), bytes.substr(at, span(bytes, at)));
        break;
      case 4: {
        const std::string& other = any(corpus_, random_);
        bytes = bytes.substr(0, at) + other.substr(std::min(at, other.size()));
        break;
      }
      case 5:
        replace_number(bytes, at);
        break;
      default:
        overwrite_word(bytes, at);
    }
  }

  // The first digits from `at` on become a number that programs trip over.
  void replace_number(std::string& bytes, std::size_t at) {
    static const char* const kNumbers[] = {"0",   "-1",         "2",    "1e308", "1e-320",
                                           "nan", "2147483647", "4096", "1e17",  "18446744073709551615"};
    const std::size_t first = bytes.find_first_of("0123456789", at);
    if (first == std::string::npos) return;
    const std::size_t end = std::min(bytes.find_first_not_of("0123456789.", first), bytes.size());
    bytes.replace(first, end - first, any(kNumbers, random_));
  }

  // Likewise in binary, 1 to 8 bytes of either order.
  void overwrite_word(std::string& bytes, std::size_t at) {
    static const std::uint64_t kWords[] = {0,          1,          0x7f,     0xff,       0x7fff,
                                           0x7fffffff, 0xffffffff, 0x100000, ~0ULL >> 1, ~0ULL};
    const std::uint64_t word = any(kWords, random_);
    const std::size_t width = std::size_t{1} << random_.below(4);
    const bool big_endian = random_.below(2) == 0;
    for (std::size_t i = 0; i < width && at + i < bytes.size(); ++i) {
      bytes[at + i] = static_cast<char>(word >> 8 * (big_endian ? width - 1 - i : i));
    }
  }

  std::vector<std::string> corpus_;
  Random random_{1};
};

// Files in the order of their names, so that runs are the same everywhere.
std::vector<std::string> files_under(const std::string& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

void run(const std::string& input, const std::string& kept) {
  std::ofstream(kept, std::ios::binary) << input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

}  // namespace
}  // namespace skua::test

int main(int argc, char** argv) {
  using namespace skua::test;
  const std::string kept =
      (std::filesystem::temp_directory_path() / std::filesystem::path(argv[0]).filename()).string() + ".input";
  std::vector<std::string> corpus;
  long runs = 0;
  for (const std::string& argument : std::vector<std::string>(argv + 1, argv + argc)) {
    if (argument.starts_with("-runs=")) {
      runs = std::stol(argument.substr(6));
      continue;
    }
    for (const std::string& file : files_under(argument)) corpus.push_back(content_of(file));
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "expected files to run, got none: %s [-runs=N] FILE|FOLDER...\n", argv[0]);
    return 2;
  }
  std::printf("the input under way is in %s\n", kept.c_str());
  std::fflush(stdout);
  for (const std::string& input : corpus) run(input, kept);
  Mutator mutator(corpus);
  for (long i = 0; i < runs; ++i) run(mutator.next(), kept);
  std::filesystem::remove(kept);
  std::printf("%zu files and %ld mutations\n", corpus.size(), runs);
  return 0;
}
