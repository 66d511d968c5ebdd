#include "skua/scheduler/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <set>
#include <stdexcept>

namespace skua {
namespace {

constexpr double kWidth = 960;
constexpr double kLeft = 130;  // of drawings: room for names and scales
constexpr double kRow = 34;
constexpr double kCopyRow = 15;

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#1d2733;--soft:#66788a;--line:#d5dde5;--paper:#fff;--compute:#4c86c6;--reduce:#57a773;
--update:#8a6fc0;--copy:#b9a44c;--steal:#d9654b;--c5:#2aa5a0;--c6:#c46aa8;--c7:#8a7a66}
@media(prefers-color-scheme:dark){:root{--ink:#e4ebf2;--soft:#93a5b6;--line:#33414f;--paper:#151c24}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{color:var(--soft);margin:.2rem 0}
table{border-collapse:collapse}td{padding:.15rem 1.2rem .15rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
td:first-child{color:var(--soft);white-space:nowrap}
svg{width:100%;height:auto;display:block}text{font:12px system-ui,sans-serif;fill:var(--soft)}
.grid{stroke:var(--line);fill:none}.compute{fill:var(--compute)}.reduce{fill:var(--reduce)}.update{fill:var(--update)}
.copy{fill:var(--copy)}.steal{fill:var(--steal)}
.curve{fill:none;stroke-width:2}.key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 1em}
.keys{columns:9rem auto;column-gap:1rem}.keys span{display:block;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.keys svg{display:inline-block;width:44px;height:12px;margin-right:.5em;vertical-align:middle}
th{text-align:left;font-weight:600;padding:.15rem 1.2rem .15rem 0;border-bottom:2px solid var(--line)}.wide{overflow-x:auto}
.wide td,.wide th{padding-right:.8rem;font-size:13px;white-space:nowrap}
)";

std::string escaped(const std::string& text) {
  std::string result;
  for (char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string seconds_text(double seconds) {
  if (seconds >= 1) return fmt::format("{:.3g} s", seconds);
  return seconds >= 1e-3 ? fmt::format("{:.3g} ms", seconds * 1e3) : fmt::format("{:.3g} µs", seconds * 1e6);
}

// Where each lane's row begins, and the last one ends; copy engines get narrow ones.
std::vector<double> rows_of(const Schedule& schedule) {
  std::vector<double> rows{0};
  for (const Lane& lane : schedule.lanes()) rows.push_back(rows.back() + (lane.copies_only ? kCopyRow : kRow));
  return rows;
}

std::string timeline(const Schedule& schedule, const StepTrace& step) {
  const std::vector<double> rows = rows_of(schedule);
  const double scale = (kWidth - kLeft) / std::max(step.seconds, 1e-12);
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">\n", kWidth, rows.back() + 24);
  for (std::size_t i = 0; i < schedule.lanes().size(); ++i) {
    svg += fmt::format("<text x=\"0\" y=\"{}\">{}</text>\n", (rows[i] + rows[i + 1]) / 2 + 4,
                       escaped(schedule.lanes()[i].name));
  }
  for (int tick = 0; tick <= 4; ++tick) {
    const double x = kLeft + (kWidth - kLeft) * tick / 4;
    svg += fmt::format(
        "<path class=\"grid\" d=\"M{:.1f} 0V{}\"/><text x=\"{:.1f}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", x,
        rows.back(), x, rows.back() + 16, seconds_text(step.seconds * tick / 4));
  }
  for (std::size_t i = 0; i < step.records.size(); ++i) {
    const StepTaskId id(static_cast<std::int64_t>(i));
    const TaskRecord& record = step.records[i];
    const double seconds = record.finish_seconds - record.start_seconds;
    const std::string category = task_category(schedule, id, record);
    const double top = rows[record.lane.index()];
    svg += fmt::format(
        "<rect class=\"{}\" x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\"><title>{} ({}, {}{})</title></rect>\n",
        category, kLeft + record.start_seconds * scale, top + 2, std::max(seconds * scale - 0.4, 0.4),
        rows[record.lane.index() + 1] - top - 4, escaped(schedule.name(id)), category, seconds_text(seconds),
        record.copied_bytes > 0 ? fmt::format(", {:.0f} bytes moved", record.copied_bytes) : "");
  }
  return svg + "</svg>\n";
}

// An SVG document of its own: with the styles and the name space that a page gives.
std::string standalone(std::string svg) {
  svg.insert(svg.find('>') + 1, fmt::format("\n<style>{}</style>", kStyle));
  return svg.insert(4, " xmlns=\"http://www.w3.org/2000/svg\"");
}

std::string utilization_bars(const Schedule& schedule, const StepTrace& step) {
  const TraceSummary summary = summarize(schedule, step);
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">\n", kWidth,
                                static_cast<double>(summary.utilization.size()) * 24);
  for (std::size_t d = 0; d < summary.utilization.size(); ++d) {
    const double y = static_cast<double>(d) * 24;
    const double width = (kWidth - kLeft - 60) * summary.utilization[d];
    svg += fmt::format(
        "<text x=\"0\" y=\"{}\">{}</text><rect class=\"compute\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"14\"/>"
        "<text x=\"{:.1f}\" y=\"{}\">{:.1f} %</text>\n",
        y + 14, escaped(schedule.lanes()[d].name), kLeft, y + 3, width, kLeft + width + 8, y + 14,
        summary.utilization[d] * 100);
  }
  return svg + "</svg>\n";
}

struct Range {
  double low = 0;
  double high = 0;
  [[nodiscard]] double place(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

// The range widened to whole steps of 1, 2, 2.5 or 5 times a power of ten, and the step: at most 4 of them, or 5.
double round_steps(Range& range) {
  const double least = std::max(range.high - range.low, 1e-12) / 4;
  double step = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {2.0, 1.25, 2.0, 2.0}) {
    if (step < least) step *= factor;
  }
  range = {std::floor(range.low / step) * step, std::ceil(range.high / step) * step};
  return step;
}

// Of a series, told apart from the others by colour and dashes together.
std::string stroke(std::size_t series) {
  constexpr std::array kColours{"compute", "steal", "reduce", "update", "copy", "c5", "c6", "c7"};
  constexpr std::array kDashes{"none", "7 4", "2 3", "10 3 2 3"};
  return fmt::format("style=\"stroke:var(--{});stroke-dasharray:{}\"", kColours[series % kColours.size()],
                     kDashes[series / kColours.size() % kDashes.size()]);
}

std::string key_of(const ReportCurve& curve) {
  std::string html = "<p class=\"keys\">";
  for (std::size_t s = 0; s < curve.series.size(); ++s) {
    html += fmt::format("<span><svg viewBox=\"0 0 44 12\"><path class=\"curve\" {} d=\"M0 6H44\"/></svg>{}</span>",
                        stroke(s), escaped(curve.series[s].first));
  }
  return html + "</p>\n";
}

std::string drawing(const ReportCurve& curve) {
  constexpr double kHeight = 240;
  Range x;
  Range y;
  bool first = true;
  for (const auto& [name, points] : curve.series) {
    for (const auto& [px, py] : points) {
      x = first ? Range{px, px} : Range{std::min(x.low, px), std::max(x.high, px)};
      y = {std::min(y.low, py), std::max(y.high, py)};
      first = false;
    }
  }
  const double step = round_steps(y);
  const auto at_x = [&](double value) { return kLeft + (kWidth - kLeft - 20) * x.place(value); };
  const auto at_y = [&](double value) { return kHeight - 10 - (kHeight - 30) * y.place(value); };
  std::string svg = fmt::format("<h2>{}</h2>\n{}<svg viewBox=\"0 0 {} {}\" role=\"img\">\n", escaped(curve.title),
                                key_of(curve), kWidth, kHeight + 34);
  for (double value = y.low; value <= y.high + step / 2; value += step) {
    svg += fmt::format("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text x=\"0\" y=\"{:.1f}\">{:.4g}</text>\n", kLeft,
                       at_y(value), kWidth - 20, at_y(value) + 4, value);
  }
  std::set<double> marks;  // on the horizontal axis
  for (std::size_t s = 0; s < curve.series.size(); ++s) {
    const auto& [name, points] = curve.series[s];
    std::string path;
    for (const auto& [px, py] : points) {
      marks.insert(px);
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", at_x(px), at_y(py));
      svg += fmt::format(
          "<circle class=\"curve\" {} cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>{}, {} {:.6g}: "
          "{:.6g}</title></circle>\n",
          stroke(s), at_x(px), at_y(py), escaped(name), escaped(curve.x_label), px, py);
    }
    svg += fmt::format("<path class=\"curve\" {} d=\"{}\"><title>{}</title></path>\n", stroke(s), path, escaped(name));
  }
  const std::size_t every = (marks.size() + 11) / 12;
  std::size_t position = 0;
  for (const double mark : marks) {
    if (position++ % every != 0) continue;
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.4g}</text>\n", at_x(mark), kHeight + 10,
                       mark);
  }
  return svg + fmt::format("<text x=\"{}\" y=\"{}\">{}; vertical: {}</text></svg>\n", kLeft, kHeight + 28,
                           escaped(curve.x_label), escaped(curve.y_label));
}

std::string timelines_of(const Report& report) {
  if (report.timelines.empty()) return "";
  std::string html = "<p>";
  for (const char* category : {"compute", "reduce", "update", "copy", "steal"}) {
    html += fmt::format("<span class=\"key\" style=\"background:var(--{0})\"></span>{0}", category);
  }
  html += "</p>\n";
  for (const ReportTimeline& drawn : report.timelines) {
    html += fmt::format("<h2>{}</h2>\n{}<p>Utilisation</p>\n{}", escaped(drawn.title),
                        timeline(*drawn.schedule, *drawn.step), utilization_bars(*drawn.schedule, *drawn.step));
  }
  return html;
}

std::string table_of(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  std::string html = "<div class=\"wide\"><table>\n";
  for (const auto& row : rows) {
    const char* const cell = &row == &rows.front() ? "th" : "td";
    html += "<tr>";
    for (const std::string& text : row) html += fmt::format("<{0}>{1}</{0}>", cell, escaped(text));
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string page_of(const Report& report) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>{0}</title><style>{1}</style></head><body>\n<h1>{0}</h1>\n<p>times: "
      "{2}</p>\n",
      escaped(report.title), kStyle, escaped(report.source));
  if (!report.figures.empty()) html += "<h2>Figures</h2>\n<table>\n";
  for (const auto& [name, value] : report.figures) {
    html += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escaped(name), escaped(value));
  }
  if (!report.figures.empty()) html += "</table>\n";
  for (const ReportCurve& curve : report.curves) html += drawing(curve);
  return html + timelines_of(report) + table_of(report.table) + "</body></html>\n";
}

}  // namespace

void write_report(const Report& report, const std::string& path) {
  const bool alone = path.ends_with(".svg") && !report.timelines.empty();
  std::ofstream file(path, std::ios::trunc);
  file << (alone ? standalone(timeline(*report.timelines.front().schedule, *report.timelines.front().step))
                 : page_of(report));
  file.close();
  if (!file) throw std::runtime_error(fmt::format("cannot write the report {}", path));
}

}  // namespace skua
