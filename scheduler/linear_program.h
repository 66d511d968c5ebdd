// Linear and mixed integer programs: minimise cost x, where least <= A x <= most and each variable has its limits.
// Solved by COIN-OR (CLP and CBC). A plain value; a solver is made anew by every call.
#pragma once

#include <limits>
#include <vector>

namespace skua {

class LinearProgram {
 public:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  struct Term {
    int variable;
    double factor;
  };

  struct Solution {
    std::vector<double> values;    // by variable; empty: none found
    double objective = kInfinity;  // of the values
    double bound = -kInfinity;     // no solution is below it, but for the solver's tolerance of about 1e-7
  };

  // Variables count from 0. Limits may be infinite. Terms of one variable add up.
  int add_variable(double least, double most, double cost = 0, bool integer = false);
  void add_row(double least, std::vector<Term> terms, double most);

  // Without regard for integers. Stops after so many steps of the simplex method, with no solution and no bound.
  [[nodiscard]] Solution relax(int most_iterations) const;
  // The best solution that a search of so many steps of the simplex method finds, in all its nodes together.
  [[nodiscard]] Solution solve(int most_iterations) const;

  [[nodiscard]] int variable_count() const { return static_cast<int>(costs_.size()); }
  [[nodiscard]] int row_count() const { return static_cast<int>(row_least_.size()); }
  [[nodiscard]] std::size_t term_count() const { return factors_.size(); }  // that are not 0

 private:
  template <class Solver>
  void load(Solver& solver) const;

  std::vector<double> least_;
  std::vector<double> most_;
  std::vector<double> costs_;
  std::vector<int> integers_;
  std::vector<double> row_least_;
  std::vector<double> row_most_;
  std::vector<int> term_rows_;
  std::vector<int> term_variables_;
  std::vector<double> factors_;
};

}  // namespace skua
