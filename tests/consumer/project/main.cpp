#include <skua/skua.h>

#include <iostream>

int main() {
  const skua::DatasetPair digits = skua::datasets::synthetic_digits(20, 10);
  std::cout << digits.train->description() << ", rows of " << digits.train->feature_shape().to_string() << '\n';
  return digits.train->size() == 20 && digits.test->classes() == 10 ? 0 : 1;
}
