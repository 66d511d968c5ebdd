// Generative adversarial networks: two models that are trained against each other in one task graph.
#pragma once

#include "skua/layers/model.h"

namespace skua {

struct GanOptions {
  Optimizer discriminator_optimizer = Adam(1e-4);
  // What the discriminator is to say of real samples; 0.9 keeps it from being sure of itself (one-sided label
  // smoothing, Salimans et al., "Improved techniques for training GANs", NeurIPS 2016).
  double real_target = 1;
};

// The generator makes samples (N,...) from noise (N,latent), standard normal; the discriminator gives each sample the
// probability (N,1) that it is real. A step draws noise, judges a batch of real samples and one of made ones, and
// updates both networks from where they were before it: the discriminator by the cross-entropy of both judgements, the
// generator by that of its samples taken as real, through the discriminator without changing it. The judgements of real
// and made samples are branches of one task graph. Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, with
// the generator's loss that does not saturate.
//
// compile takes the generator's optimizer; loss and metrics are the model's own: "loss" is the generator's,
// "discriminator_loss" the other's, both means per sample. Labels of data sets are not used. predict takes noise and
// gives samples. A discriminator's batch norm keeps running averages of real samples.
class Gan : public Model {
 public:
  // Throws std::invalid_argument where the generator's samples are not what the discriminator takes.
  Gan(const Sequential& generator, const Sequential& discriminator, GanOptions options = {});
};

}  // namespace skua
