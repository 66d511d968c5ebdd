#include "linear_program.h"

#include <CbcEventHandler.hpp>
#include <CbcModel.hpp>
#include <CbcStrategy.hpp>
#include <ClpSimplex.hpp>
#include <CoinPackedMatrix.hpp>
#include <OsiClpSolverInterface.hpp>
#include <algorithm>
#include <cmath>

namespace skua {
namespace {

// Terms of a program times steps of the simplex method, about; less in branch and cut, which has more to do.
constexpr double kTermsPerSecond = 1e8;
constexpr double kCutTermsPerSecond = 5e6;
constexpr double kLeastCutTerms = 5e6;  // programs that usually take no more are always solved

double solver_limit(double limit) {
  return std::isinf(limit) ? (limit > 0 ? COIN_DBL_MAX : -COIN_DBL_MAX) : limit;
}

// Counts work instead of time.
class IterationLimit final : public CbcEventHandler {
 public:
  explicit IterationLimit(int most) : most_(most) {}
  CbcAction event(CbcEvent) override { return model_->getIterationCount() > most_ ? stop : noAction; }
  CbcEventHandler* clone() const override { return new IterationLimit(*this); }

 private:
  int most_;
};

}  // namespace

int LinearProgram::add_variable(double least, double most, double cost, bool integer) {
  const int variable = variable_count();
  least_.push_back(solver_limit(least));
  most_.push_back(solver_limit(most));
  costs_.push_back(cost);
  if (integer) integers_.push_back(variable);
  return variable;
}

void LinearProgram::add_row(double least, std::vector<Term> terms, double most) {
  std::sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) { return a.variable < b.variable; });
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (i > 0 && terms[i].variable == terms[i - 1].variable) {
      factors_.back() += terms[i].factor;
      continue;
    }
    term_rows_.push_back(row_count());
    term_variables_.push_back(terms[i].variable);
    factors_.push_back(terms[i].factor);
  }
  row_least_.push_back(solver_limit(least));
  row_most_.push_back(solver_limit(most));
}

template <class Solver>
void LinearProgram::load(Solver& solver) const {
  CoinPackedMatrix matrix(true, term_rows_.data(), term_variables_.data(), factors_.data(),
                          static_cast<CoinBigIndex>(factors_.size()));
  matrix.setDimensions(row_count(), variable_count());
  solver.loadProblem(matrix, least_.data(), most_.data(), costs_.data(), row_least_.data(), row_most_.data());
}

double LinearProgram::usual_steps() const {
  return 3.0 * (row_count() + variable_count());
}

int LinearProgram::steps(double work) const {
  return static_cast<int>(std::clamp(work / static_cast<double>(factors_.size() + 1), usual_steps(), 1e9));
}

LinearProgram::Solution LinearProgram::relax(double budget_seconds) const {
  ClpSimplex solver;
  solver.setLogLevel(0);
  load(solver);
  solver.setMaximumIterations(steps(budget_seconds * kTermsPerSecond));
  solver.initialSolve();
  Solution solution;
  if (!solver.isProvenOptimal()) return solution;
  solution.values.assign(solver.primalColumnSolution(), solver.primalColumnSolution() + variable_count());
  solution.duals.assign(solver.dualRowSolution(), solver.dualRowSolution() + row_count());
  solution.objective = solution.bound = solver.objectiveValue();
  return solution;
}

LinearProgram::Solution LinearProgram::solve(double budget_seconds) const {
  const double work = std::max(budget_seconds * kCutTermsPerSecond, kLeastCutTerms);
  if (usual_steps() * static_cast<double>(factors_.size() + 1) > work) return {};
  OsiClpSolverInterface solver;
  solver.messageHandler()->setLogLevel(0);
  load(solver);
  for (const int variable : integers_) solver.setInteger(variable);
  CbcModel model(solver);
  model.setLogLevel(0);
  model.solver()->messageHandler()->setLogLevel(0);
  const IterationLimit limit(steps(work));
  model.passInEventHandler(&limit);
  CbcStrategyDefault strategy;
  model.setStrategy(strategy);
  model.setCutoffIncrement(1e-9);
  model.setAllowableGap(0);
  model.branchAndBound();
  Solution solution;
  if (model.bestSolution() != nullptr) {
    solution.values.assign(model.bestSolution(), model.bestSolution() + variable_count());
    solution.objective = model.getObjValue();
  }
  solution.bound = model.isProvenInfeasible() ? kInfinity : model.getBestPossibleObjValue();
  return solution;
}

}  // namespace skua
