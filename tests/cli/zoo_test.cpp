// The policy `auto` on every model by name.
#include <gtest/gtest.h>

#include "models/models.h"
#include "scheduler/members.h"

namespace skua::test {
namespace {

class Zoo : public testing::TestWithParam<std::string> {};

TEST_P(Zoo, AutoIsNoWorseThanItsMembers) {
  const models::Recipe& recipe = models::recipe(GetParam());
  const Model model = recipe.make();
  const TaskGraph graph(model.training_graph(16, 2, recipe.compile), 2);
  for (const char* name : {"cpu:2", "h100x8-nvlink", "a100x4-pcie", "h100x4-a100x4-pcie", "2x-h100x4-nvlink"}) {
    SCOPED_TRACE(name);
    (void)expect_no_worse_than_members(graph, make_cluster(name), CostModel(), 0.4);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Zoo, testing::ValuesIn(models::names()),
                         [](const auto& model) { return model.param; });

}  // namespace
}  // namespace skua::test
