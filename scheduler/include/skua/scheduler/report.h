// A self-contained HTML page for people who would rather look than read: timeline, utilisation, curves, figures.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "skua/scheduler/trace.h"

namespace skua {

struct ReportCurve {
  std::string title;
  std::string x_label;
  std::string y_label;
  // By series: its name and its points.
  std::vector<std::pair<std::string, std::vector<std::pair<double, double>>>> series;
};

// What one step ran where and when. The schedule and the step must outlive the report.
struct ReportTimeline {
  std::string title;
  const Schedule* schedule;
  const StepTrace* step;
};

struct Report {
  std::string title;
  std::string source;  // where times come from: "measured", "simulated: h100x8-nvlink"
  std::vector<std::pair<std::string, std::string>> figures = {};  // name, value
  std::vector<ReportCurve> curves = {};
  std::vector<ReportTimeline> timelines = {};
  std::vector<std::vector<std::string>> table = {};  // the first row is the head
};

// A page; the first timeline alone where the name ends in ".svg". Throws std::runtime_error where the file cannot be
// written.
void write_report(const Report& report, const std::string& path);

}  // namespace skua
