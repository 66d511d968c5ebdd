// Digits drawn with a pen: strokes in the unit square (x to the right, y down), distorted at random and rendered by the
// distance to the strokes. Elastic distortion as in Simard, Steinkraus, Platt, "Best practices for convolutional neural
// networks applied to visual document analysis", ICDAR 2003, with a field of few waves in place of filtered noise.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "skua/graph/random.h"
#include "skua/layers/dataset.h"

namespace skua::datasets {

namespace {

constexpr int kSide = 28;
constexpr int kPixels = kSide * kSide;
constexpr int kClasses = 10;
constexpr double kRadiansPerDegree = std::numbers::pi / 180;

struct Point {
  double x;
  double y;
};

using Stroke = std::vector<Point>;  // a polyline, fine enough to bend
using Glyph = std::vector<Stroke>;

Stroke line(const std::vector<Point>& corners) {
  constexpr int kPieces = 5;
  Stroke stroke{corners.front()};
  for (std::size_t i = 1; i < corners.size(); ++i) {
    for (int piece = 1; piece <= kPieces; ++piece) {
      stroke.push_back({std::lerp(corners[i - 1].x, corners[i].x, piece / double{kPieces}),
                        std::lerp(corners[i - 1].y, corners[i].y, piece / double{kPieces})});
    }
  }
  return stroke;
}

// Part of an ellipse; angles in degrees, 0 to the right, growing clockwise.
Stroke arc(Point center, Point radii, double from, double to) {
  constexpr double kDegreesPerPiece = 15;
  const int pieces = static_cast<int>(std::ceil(std::abs(to - from) / kDegreesPerPiece));
  Stroke stroke;
  for (int piece = 0; piece <= pieces; ++piece) {
    const double angle = std::lerp(from, to, piece / static_cast<double>(pieces)) * kRadiansPerDegree;
    stroke.push_back({center.x + radii.x * std::cos(angle), center.y + radii.y * std::sin(angle)});
  }
  return stroke;
}

// A smooth curve through the points: the cubic spline of Catmull and Rom, 1974, with doubled end points.
Stroke curve(const std::vector<Point>& points) {
  constexpr int kPieces = 4;
  const auto at = [](double a, double b, double c, double d, double t) {
    return b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
  };
  Stroke stroke{points.front()};
  for (std::size_t i = 1; i < points.size(); ++i) {
    const Point& a = points[i < 2 ? 0 : i - 2];
    const Point& b = points[i - 1];
    const Point& c = points[i];
    const Point& d = points[std::min(i + 1, points.size() - 1)];
    for (int piece = 1; piece <= kPieces; ++piece) {
      const double t = piece / double{kPieces};
      stroke.push_back({at(a.x, b.x, c.x, d.x, t), at(a.y, b.y, c.y, d.y, t)});
    }
  }
  return stroke;
}

// The ways in which people write each digit.
using Styles = std::vector<Glyph>;
std::array<Styles, kClasses> make_alphabet() {
  const Stroke lower_bow_of_3 = curve({{.44, .46}, {.65, .52}, {.73, .68}, {.62, .85}, {.42, .9}, {.26, .8}});
  const Stroke bow_of_5 = curve({{.33, .46}, {.53, .4}, {.71, .54}, {.7, .76}, {.5, .9}, {.27, .82}});
  const Stroke loop_of_9 = arc({.48, .31}, {.19, .2}, -25, 345);
  return {
      Styles{{arc({.5, .5}, {.26, .39}, -80, 290)},
             {arc({.5, .5}, {.18, .39}, -110, 250)},
             {arc({.5, .5}, {.33, .36}, -60, 285)}},
      Styles{{line({{.5, .1}, {.5, .9}})},
             {line({{.36, .27}, {.53, .1}, {.53, .9}})},
             {line({{.36, .25}, {.5, .1}, {.5, .89}}), line({{.3, .89}, {.7, .89}})}},
      Styles{
          {curve({{.27, .3}, {.34, .15}, {.5, .09}, {.68, .16}, {.71, .34}, {.57, .58}, {.27, .88}}),
           line({{.27, .88}, {.77, .88}})},
          {curve({{.27, .28},
                  {.43, .1},
                  {.66, .16},
                  {.7, .37},
                  {.53, .66},
                  {.32, .87},
                  {.23, .8},
                  {.35, .74},
                  {.54, .85},
                  {.79, .84}})},
          {curve({{.25, .2}, {.45, .1}, {.7, .14}, {.68, .36}, {.3, .84}}), curve({{.3, .84}, {.5, .8}, {.76, .9}})}},
      Styles{{curve({{.28, .2}, {.43, .1}, {.63, .13}, {.69, .28}, {.58, .42}, {.44, .46}}), lower_bow_of_3},
             {line({{.27, .12}, {.7, .12}, {.44, .46}}), lower_bow_of_3},
             {curve({{.3, .14},
                     {.5, .09},
                     {.68, .2},
                     {.64, .36},
                     {.4, .48},
                     {.64, .54},
                     {.72, .72},
                     {.54, .9},
                     {.28, .86}})}},
      Styles{{line({{.36, .1}, {.25, .56}, {.79, .56}}), line({{.66, .14}, {.62, .93}})},
             {line({{.6, .92}, {.6, .1}, {.21, .64}, {.8, .64}})},
             {curve({{.29, .13}, {.25, .4}, {.36, .54}, {.63, .46}}), line({{.68, .1}, {.63, .93}})}},
      Styles{{line({{.72, .12}, {.36, .12}, {.33, .46}}), bow_of_5},
             {curve({{.72, .12}, {.46, .13}, {.33, .29}, {.43, .44}, {.65, .54}, {.68, .74}, {.5, .89}, {.27, .83}})},
             {line({{.36, .14}, {.33, .46}}), bow_of_5, line({{.36, .14}, {.75, .1}})}},
      Styles{{curve({{.66, .11},
                     {.44, .25},
                     {.3, .52},
                     {.32, .78},
                     {.5, .9},
                     {.69, .78},
                     {.66, .58},
                     {.5, .51},
                     {.33, .65}})},
             {curve({{.42, .1}, {.32, .4}, {.3, .7}, {.42, .88}, {.62, .86}, {.68, .68}, {.54, .57}, {.34, .7}})},
             {curve({{.7, .14}, {.5, .14}, {.33, .36}, {.28, .66}}), arc({.49, .69}, {.21, .2}, -180, 180)}},
      Styles{
          {line({{.26, .14}, {.74, .14}}), curve({{.74, .14}, {.57, .46}, {.46, .9}})},
          {line({{.26, .14}, {.74, .14}, {.42, .9}}), line({{.36, .5}, {.68, .47}})},
          {line({{.25, .28}, {.28, .13}}), curve({{.28, .13}, {.5, .16}, {.75, .12}}), line({{.75, .12}, {.48, .9}})}},
      Styles{{curve({{.65, .2},
                     {.46, .1},
                     {.33, .23},
                     {.43, .42},
                     {.63, .56},
                     {.7, .74},
                     {.52, .9},
                     {.31, .77},
                     {.4, .56},
                     {.6, .42},
                     {.68, .26},
                     {.6, .13}})},
             {arc({.5, .29}, {.17, .19}, -90, 270), arc({.5, .69}, {.21, .21}, -90, 270)}},
      Styles{{loop_of_9, curve({{.67, .27}, {.66, .6}, {.57, .91}})},
             {loop_of_9, line({{.67, .18}, {.67, .92}})},
             {loop_of_9, curve({{.67, .27}, {.7, .6}, {.6, .86}, {.44, .9}, {.3, .83}})}},
  };
}

// Moves points by an affine map and a smooth field of waves; the unit square comes out in pixels.
class Distortion {
 public:
  explicit Distortion(Random& random) {
    constexpr double kBox = 24;  // pixels of the unit square's sides: digits are about 20 high, as in MNIST
    const double angle = random.uniform(-15, 15) * kRadiansPerDegree;
    const double shear = random.uniform(-0.3, 0.3);
    const double width = kBox * random.uniform(0.75, 1.1);
    const double height = kBox * random.uniform(0.85, 1.1);
    xx_ = width * std::cos(angle);
    xy_ = height * (shear * std::cos(angle) - std::sin(angle));
    yx_ = width * std::sin(angle);
    yy_ = height * (shear * std::sin(angle) + std::cos(angle));
    shift_ = {kSide / 2.0 + random.uniform(-2, 2), kSide / 2.0 + random.uniform(-2, 2)};
    for (Wave& wave : waves_) {
      const double direction = random.uniform(0, 2 * std::numbers::pi);
      const double frequency = random.uniform(3, 9);  // radians per side of the unit square
      wave.along = {frequency * std::cos(direction), frequency * std::sin(direction)};
      wave.phase = random.uniform(0, 2 * std::numbers::pi);
      wave.move = {0.028 * random.normal(), 0.028 * random.normal()};
    }
  }

  [[nodiscard]] Point operator()(Point point) const {
    Point moved{point.x - 0.5, point.y - 0.5};
    for (const Wave& wave : waves_) {
      const double size = std::sin(wave.along.x * point.x + wave.along.y * point.y + wave.phase);
      moved.x += size * wave.move.x;
      moved.y += size * wave.move.y;
    }
    return {xx_ * moved.x + xy_ * moved.y + shift_.x, yx_ * moved.x + yy_ * moved.y + shift_.y};
  }

 private:
  struct Wave {
    Point along;
    double phase;
    Point move;
  };

  double xx_, xy_, yx_, yy_;
  Point shift_;
  std::array<Wave, 3> waves_;
};

double squared_distance(Point point, Point from, Point to) {
  const Point along{to.x - from.x, to.y - from.y};
  const double length = along.x * along.x + along.y * along.y;
  const double projection = (point.x - from.x) * along.x + (point.y - from.y) * along.y;
  const double t = length > 0 ? std::clamp(projection / length, 0.0, 1.0) : 0;
  const double dx = from.x + t * along.x - point.x;
  const double dy = from.y + t * along.y - point.y;
  return dx * dx + dy * dy;
}

// The squared distance, in pixels, from each pixel's centre to the nearest stroke where that is below `reach`.
class DistanceMap {
 public:
  explicit DistanceMap(double reach) : reach_(reach) { squares_.fill(reach * reach); }

  void add_segment(Point from, Point to) {
    const auto first = [this](double a, double b) {
      return static_cast<int>(std::clamp(std::floor(std::min(a, b) - reach_), 0.0, double{kSide}));
    };
    const auto last = [this](double a, double b) {
      return static_cast<int>(std::clamp(std::ceil(std::max(a, b) + reach_), 0.0, double{kSide}));
    };
    for (int row = first(from.y, to.y); row < last(from.y, to.y); ++row) {
      for (int column = first(from.x, to.x); column < last(from.x, to.x); ++column) {
        double& square = squares_[static_cast<std::size_t>(row * kSide + column)];
        square = std::min(square, squared_distance({column + 0.5, row + 0.5}, from, to));
      }
    }
  }
  [[nodiscard]] double distance(std::size_t pixel) const { return std::sqrt(squares_[pixel]); }

 private:
  double reach_;
  std::array<double, kPixels> squares_;
};

void draw(const Styles& styles, Random random, std::uint8_t* pixels) {
  const Glyph& glyph = styles[random.below(styles.size())];
  const Distortion distort(random);
  const double radius = random.uniform(0.7, 1.7);    // of the pen, pixels
  const double softness = random.uniform(0.7, 1.3);  // width of the stroke's edge, pixels
  const double ink = random.uniform(170, 255);
  const double noise = random.uniform(0, 24);  // its largest size
  DistanceMap map(radius + softness);
  for (const Stroke& stroke : glyph) {
    const Point slip{0.015 * random.normal(), 0.015 * random.normal()};
    const auto place = [&](Point point) { return distort({point.x + slip.x, point.y + slip.y}); };
    Point from = place(stroke.front());
    for (std::size_t i = 1; i < stroke.size(); ++i) {
      const Point to = place(stroke[i]);
      map.add_segment(from, to);
      from = to;
    }
  }
  std::uint32_t bits = 0;
  for (std::size_t pixel = 0; pixel < kPixels; ++pixel, bits >>= 16) {
    if (pixel % 2 == 0) bits = random.bits();
    const double dark = ink * std::clamp(0.5 + (radius - map.distance(pixel)) / softness, 0.0, 1.0);
    const int triangular = static_cast<int>(bits & 255) - static_cast<int>(bits >> 8 & 255);
    pixels[pixel] = static_cast<std::uint8_t>(std::clamp(dark + noise * triangular / 255, 0.0, 255.0));
  }
}

enum class Part : std::uint8_t { kTrain, kTest };

// Every ten digits in a row are the ten classes in a random order. Each digit and each order has a stream of its own.
std::shared_ptr<const Dataset> make_part(std::int64_t size, std::uint64_t seed, Part part) {
  static const std::array<Styles, kClasses> alphabet = make_alphabet();
  const bool train = part == Part::kTrain;
  const auto stream = [=](std::size_t index, bool order) { return 4 * std::uint64_t{index} + (train ? 0 : 2) + order; };
  const auto count = static_cast<std::size_t>(size);
  std::vector<std::uint8_t> pixels(count * kPixels);
  std::vector<std::uint8_t> labels(count);
  std::array<std::uint8_t, kClasses> order{};
  for (std::size_t i = 0; i < count; ++i) {
    if (i % kClasses == 0) {
      Random random(seed, stream(i, true));
      for (std::size_t k = 0; k < kClasses; ++k) {  // Fisher and Yates, inside out
        const std::size_t other = random.below(k + 1);
        order[k] = order[other];
        order[other] = static_cast<std::uint8_t>(k);
      }
    }
    labels[i] = order[i % kClasses];
    draw(alphabet[labels[i]], Random(seed, stream(i, false)), pixels.data() + i * kPixels);
  }
  return images(std::move(pixels), std::move(labels), kSide, kSide, kClasses,
                fmt::format("{} synthetic {} digits, seed {}", size, train ? "training" : "test", seed));
}

}  // namespace

DatasetPair synthetic_digits(std::int64_t train_size, std::int64_t test_size, std::uint64_t seed) {
  if (train_size < 1 || test_size < 1) {
    throw std::invalid_argument(fmt::format(
        "[synthetic_digits] expected at least one training and one test digit, got {} and {}", train_size, test_size));
  }
  return {make_part(train_size, seed, Part::kTrain), make_part(test_size, seed, Part::kTest)};
}

}  // namespace skua::datasets
