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
    std::vector<double> duals;     // by row, of `relax`: how the objective grows with the row's limits
    double objective = kInfinity;  // of the values
    double bound = -kInfinity;     // no solution is below it, but for the solver's tolerance of about 1e-7
  };

  // Variables count from 0. Limits may be infinite. Terms of one variable add up.
  int add_variable(double least, double most, double cost = 0, bool integer = false);
  void add_row(double least, std::vector<Term> terms, double most);

  // Budgets are seconds, about: steps of the simplex method are counted, so that a solution does not depend on the
  // machine. Small programs get as many as they usually need, whatever the budget.

  // Without regard for integers. No solution and no bound where the budget is too small.
  [[nodiscard]] Solution relax(double budget_seconds) const;
  // The best solution that branch and cut finds, in all its nodes together; none, and no bound, where the budget is too
  // small for the first of them.
  [[nodiscard]] Solution solve(double budget_seconds) const;

  [[nodiscard]] int variable_count() const { return static_cast<int>(costs_.size()); }
  [[nodiscard]] int row_count() const { return static_cast<int>(row_least_.size()); }

 private:
  [[nodiscard]] double usual_steps() const;
  [[nodiscard]] int steps(double work) const;
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
