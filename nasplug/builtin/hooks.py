"""What nasplug itself registers; imports nothing of it."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register

RESUMES = ">=0.1,<0.3"
"""The versions of nasplug whose runs this one continues, with the same results except where the changelog says so."""


@hookimpl
def nasplug_register(register: Register) -> None:
    """The parts, methods, data sets, cost measures, reference networks and executors that come with the core."""
    register.space(
        "compact",
        "nasplug.builtin.compact.space:Compact",
        summary="Stages of layers of several kinds and widths, for small devices.",
    )
    register.space(
        "darts",
        "nasplug.builtin.darts.space:Darts",
        summary="Cells of separable and dilated convolutions, pools and skips, as in DARTS.",
    )
    register.space(
        "mbconv",
        "nasplug.builtin.mbconv.space:MBConvSpace",
        summary="Blocks of inverted residuals of several depths and widths, as in DNA.",
    )
    register.space(
        "nb201",
        "nasplug.builtin.nb201.space:NasBench201",
        summary="One cell of four nodes in three stages, as in NAS-Bench-201.",
    )
    register.optimizer(
        "bilevel",
        "nasplug.builtin.optimizers.bilevel:Bilevel",
        summary="Weights learn on one half of the training images, alpha on the other, as in DARTS.",
    )
    register.optimizer(
        "one-level",
        "nasplug.builtin.optimizers.one_level:OneLevel",
        summary="Weights and alpha learn together on the same training images.",
    )
    register.optimizer(
        "single-path",
        "nasplug.builtin.optimizers.single_path:SinglePath",
        summary="Weights learn one random path at a time, as in SPOS and DNA.",
    )
    register.optimizer(
        "random",
        "nasplug.builtin.optimizers.random_search:RandomSearch",
        summary="Draws architectures at random and trains no supernet.",
    )
    register.optimizer(
        "fixed",
        "nasplug.engine.plain.fixed:Fixed",
        summary="Trains the weights of one given architecture.",
    )
    register.schedule("keep", "nasplug.engine.plain.keep:Keep", summary="Deletes nothing.")
    register.teacher("labels", "nasplug.engine.plain.labels:Labels", summary="Learns from the labels alone.")
    register.selector(
        "decoded",
        "nasplug.engine.plain.decoded:Decoded",
        summary="Takes the snapshots of the schedule and what the optimizer decides on.",
    )
    register.selector(
        "rating",
        "nasplug.builtin.selectors.rating:Rating",
        summary="Rates all paths of every block and combines the best under the budget, as in DNA.",
    )
    register.selector(
        "evolution",
        "nasplug.builtin.selectors.evolution:Evolution",
        summary="Trains architectures for a few epochs each, and mutates the best.",
    )
    register.method(
        "darts",
        "nasplug.builtin.methods:DARTS",
        summary="Bilevel differentiable search for one normal and one reduction cell.",
        preferred=True,
    )
    register.method(
        "random",
        "nasplug.builtin.methods:RANDOM",
        summary="Random search, the baseline that any method has to beat.",
    )
    register.method(
        "evolution",
        "nasplug.builtin.methods:EVOLUTION",
        summary="Evolution of architectures that are trained for a few epochs each, without a supernet.",
    )
    register.dataset(
        "digits",
        "nasplug.builtin.data_sets.digits:Digits",
        summary="1797 handwritten digits of 8x8 pixels, installed with scikit-learn.",
    )
    register.dataset(
        "cifar10",
        "nasplug.builtin.data_sets.torchvision_sets:Cifar10",
        summary="60000 colour photographs of 32x32 pixels in 10 classes.",
    )
    register.dataset(
        "cifar100",
        "nasplug.builtin.data_sets.torchvision_sets:Cifar100",
        summary="60000 colour photographs of 32x32 pixels in 100 classes.",
    )
    register.dataset(
        "fashion-mnist",
        "nasplug.builtin.data_sets.torchvision_sets:FashionMnist",
        summary="70000 grey photographs of clothes, 28x28 pixels in 10 classes.",
    )
    register.dataset(
        "folder",
        "nasplug.builtin.data_sets.folder:Folder",
        summary="Your own images, a folder per class: folder:PATH.",
    )
    register.dataset(
        "csv",
        "nasplug.builtin.data_sets.csv_list:CsvList",
        summary="Your own images, a table of files and classes: csv:FILE.",
    )
    register.dataset(
        "hf",
        "nasplug.builtin.data_sets.hugging_face:HuggingFace",
        summary="Images of the package datasets of Hugging Face: hf:PATH or hf:NAME.",
    )
    register.dataset(
        "arrays",
        "nasplug.builtin.data_sets.arrays:Arrays",
        summary="Your own images and labels as arrays in a safetensors or npz file: arrays:FILE.",
    )
    register.dataset(
        "signals",
        "nasplug.builtin.data_sets.signals:Signals",
        summary="Your own signals, of one dimension, in a safetensors or npz file: signals:FILE.",
    )
    register.dataset(
        "mnist1d",
        "nasplug.builtin.data_sets.mnist1d:Mnist1d",
        summary="5000 drawn signals of 40 samples in 10 classes, of the package mnist1d.",
    )
    register.cost(
        "params",
        "nasplug.builtin.costs.counted:Params",
        summary="Parameters of a network.",
    )
    register.cost(
        "macs",
        "nasplug.builtin.costs.counted:Macs",
        summary="Multiply-accumulates for one image.",
    )
    register.cost(
        "size",
        "nasplug.builtin.costs.counted:Size",
        summary="Bytes of the weights on the device.",
    )
    register.cost(
        "operations",
        "nasplug.builtin.costs.counted:Operations",
        summary="Operations of the deployed graph.",
    )
    register.cost(
        "memory",
        "nasplug.builtin.costs.memory:Memory",
        summary="Peak bytes of activations for one image.",
    )
    register.cost(
        "latency",
        "nasplug.builtin.costs.latency:Latency",
        summary="Milliseconds for one image on this machine, in one thread.",
    )
    register.reference(
        "plain",
        "nasplug.builtin.references.residual:Plain",
        summary="A stack of seven 3x3 convolutions with batch norm and ReLU.",
    )
    register.reference(
        "resnet8",
        "nasplug.builtin.references.residual:ResNet8",
        summary="Three residual blocks, the image classifier of MLPerf Tiny.",
    )
    register.reference(
        "ds-cnn",
        "nasplug.builtin.references.ds_cnn:DSCNN",
        summary="Four depthwise separable blocks, the keyword spotter of MLPerf Tiny, for images.",
    )
    register.reference(
        "mobilenetv2",
        "nasplug.builtin.references.mobilenet:MobileNetV2",
        summary="Inverted residuals with ReLU6, strided to fit the images.",
    )
    register.reference(
        "timm",
        "nasplug.builtin.references.timm_networks:TimmReference",
        summary="A network of the package timm, with initial weights: timm:NAME.",
    )
    register.reference(
        "torchvision",
        "nasplug.builtin.references.torchvision_networks:TorchvisionReference",
        summary="A network of torchvision, with initial weights: torchvision:NAME.",
    )
    register.executor(
        "local",
        "nasplug.builtin.executors.local:Local",
        summary="Processes of this machine, with one CPU thread each; on CUDA one for each GPU.",
    )
    register.executor(
        "factory",
        "nasplug.builtin.executors.factory:Factory",
        summary="What a function returns that is named by its import path: a concurrent.futures.Executor.",
    )
