#!/usr/bin/env python3
"""peer.py STEPS [MODEL...]: step times of Skua's models in PyTorch, eager and as CUDA graphs, one line of JSON each.

The shapes, batches and optimizers are those of examples/models. A step copies its batch from pinned host memory, runs
forward, backward and update, and ends when the GPU has: as in tests/gpu/step_time.cpp, whose median is over the same
steps. TF32 is off, as Skua's default is.
"""
import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class TextRnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10000, 128)
        self.rnn = nn.RNN(128, 64, batch_first=True)
        self.dense = nn.Linear(64, 1)

    def forward(self, tokens):
        _, last = self.rnn(F.dropout(self.embedding(tokens), 0.5))
        return self.dense(F.dropout(last[0], 0.5))


class TextLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10000, 128)
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.dense = nn.Linear(128, 10000)

    def forward(self, tokens):
        _, (last, _) = self.lstm(self.embedding(tokens))
        return self.dense(F.dropout(last[0], 0.2))


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10000, 512)
        self.lstm = nn.LSTM(512, 512, num_layers=4, dropout=0.2, batch_first=True)
        self.dense = nn.Linear(512, 10000)

    def forward(self, tokens):
        states, _ = self.lstm(self.embedding(tokens))
        return self.dense(F.dropout(states, 0.2)).flatten(0, 1)


class Residual(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters))
        same = stride == 1 and channels == filters
        self.shortcut = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def mnist_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10))


def resnet18():
    blocks, channels = [], 64
    for stage, filters in enumerate((64, 128, 256, 512)):
        for block in range(2):
            blocks.append(Residual(channels, filters, 2 if stage > 0 and block == 0 else 1))
            channels = filters
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def gan():
    generator = nn.Sequential(
        nn.Linear(100, 12544), nn.BatchNorm1d(12544), nn.LeakyReLU(0.2), nn.Unflatten(1, (256, 7, 7)),
        nn.ConvTranspose2d(256, 128, 5, 1, 2), nn.BatchNorm2d(128), nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(128, 64, 5, 2, 2, 1), nn.BatchNorm2d(64), nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(64, 1, 5, 2, 2, 1), nn.Tanh())
    discriminator = nn.Sequential(
        nn.Conv2d(1, 64, 5, 2, 2), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Conv2d(64, 128, 5, 2, 2), nn.LeakyReLU(0.2),
        nn.Dropout(0.3), nn.Flatten(), nn.Linear(6272, 1))
    return generator, discriminator


def adam(module, rate, clip=None, **options):
    """An update of `module` by Adam that CUDA graphs can hold."""
    kind = torch.optim.AdamW if "weight_decay" in options else torch.optim.Adam
    optimizer = kind(module.parameters(), lr=rate, capturable=True, **options)

    def update():
        if clip is not None:
            nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    return update


def supervised(module, loss, update):
    module.cuda().train()

    def step(features, labels):
        loss(module(features), labels).backward()
        update()

    return step


def gan_step(batch):
    generator, discriminator = (part.cuda().train() for part in gan())
    update_generator = adam(generator, 1e-4, betas=(0.5, 0.999))
    update_discriminator = adam(discriminator, 1e-4, betas=(0.5, 0.999))

    def step(real, _):
        one, zero = torch.ones(batch, 1, device="cuda"), torch.zeros(batch, 1, device="cuda")
        fake = generator(torch.randn(batch, 100, device="cuda"))
        judged = F.binary_cross_entropy_with_logits(discriminator(real), one)
        (judged + F.binary_cross_entropy_with_logits(discriminator(fake.detach()), zero)).backward()
        update_discriminator()
        F.binary_cross_entropy_with_logits(discriminator(fake), one).backward()
        update_generator()
        for parameter in discriminator.parameters():
            parameter.grad.zero_()

    return step


def tokens(batch, length):
    return torch.randint(10000, (batch, length))


def make(name):
    """The model's step, and a batch of features and labels in host memory."""
    if name == "mnist_gan":
        return gan_step(64), torch.rand(64, 1, 28, 28), torch.zeros(64)
    if name == "mnist_cnn":
        module = mnist_cnn()
        step = supervised(module, F.cross_entropy, adam(module.cuda(), 1e-3))
        return step, torch.rand(128, 1, 28, 28), torch.randint(10, (128,))
    if name == "text_rnn":
        module = TextRnn()
        update = adam(module.cuda(), 1e-3, clip=1, weight_decay=1e-1)
        step = supervised(module, F.binary_cross_entropy_with_logits, update)
        return step, tokens(64, 100), torch.randint(2, (64, 1)).float()
    if name == "text_lstm":
        module = TextLstm()
        step = supervised(module, F.cross_entropy, adam(module.cuda(), 2e-3, clip=1))
        return step, tokens(128, 100), torch.randint(10000, (128,))
    if name == "resnet18":
        module = resnet18()
        step = supervised(module, F.cross_entropy, adam(module.cuda(), 1e-3))
        return step, torch.rand(128, 3, 224, 224), torch.randint(1000, (128,))
    if name == "lstm_lm":
        module = LanguageModel()
        step = supervised(module, F.cross_entropy, adam(module.cuda(), 1e-3))
        return step, tokens(128, 64), torch.randint(10000, (128 * 64,))
    raise SystemExit(f"peer.py: expected a model, got '{name}'")


def median_step_ms(run, host, static, steps):
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        for to, source in zip(static, host):
            to.copy_(source, non_blocking=True)
        run()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[steps // 10:]) * 1e3


def captured(step, static):
    """The step as a CUDA graph, after a few runs on a side stream as PyTorch wants it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(*static)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(*static)
    return graph.replay


def main():
    steps = int(sys.argv[1])
    names = sys.argv[2:] or ["mnist_cnn", "text_rnn", "text_lstm", "mnist_gan", "resnet18", "lstm_lm"]
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    for name in names:
        for mode in ("eager", "cuda graph"):
            row = {"model": name, "side": f"PyTorch {torch.__version__}, {mode}"}
            try:
                step, *batch = make(name)
                host = [part.pin_memory() for part in batch]
                static = [part.cuda() for part in host]
                run = captured(step, static) if mode == "cuda graph" else lambda: step(*static)
                row.update(batch=batch[0].shape[0], median_step_ms=median_step_ms(run, host, static, steps))
            except RuntimeError as error:
                row["error"] = str(error).splitlines()[0]
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
