"""Which released weights open here: files, sizes, how near outputs are, and under which licence.

The importer knows a file by what is in it (families, pipelines, token_models, controls, encoders).
This says what those are by their authors' names, for people: the reference has it as a page. A test
holds it to the importer's tables, to the tests that it names and to the real sizes.
"""

from __future__ import annotations

from typing import NamedTuple

REFERENCE = "the reference's outputs"  # recorded from the authors' code, of made-up weights
FORMULAS = "the formulas, written out in NumPy"


class Opens(NamedTuple):
    """Released weights of one kind.

    Attributes:
        name: as their authors call them.
        released: the file or folder, as it is released.
        kinds: what the importer knows it by: keys of FAMILIES or of a table of KINDS.
        opens: the config that it opens as: a recipe, or "" for the one that is proposed.
        parameters: of the network, or of the first that is named.
        error: relative L2 error of outputs in float32 that a test accepts at most.
        beside: what the outputs are compared with.
        test: of tests/, which holds the error.
        licence: of the weights, as their authors name it, in brackets where they do if that is no
            file of the licence; "not stated" where they name none.
    """

    name: str
    released: str
    kinds: tuple[str, ...]
    opens: str
    parameters: int
    error: float
    beside: str
    test: str
    licence: str


_NEAR, _FAR = 1e-5, 3e-5
_OPENRAIL, _STABILITY = "CreativeML Open RAIL++-M", "Stability AI Community License"
_RELEASED = "interop/test_released.py"
_UNET, _STEPS = "interop/components/test_cross_unet.py", "interop/test_samplings.py"

CATALOGUE: tuple[Opens, ...] = (
    Opens("Song et al. 2021: VE, NCSN++ (cont.), CIFAR-10", "checkpoint_*.pth", ("song",),
          "paper.py:ve/cifar10_ncsnpp_continuous", 62_758_787, _NEAR, REFERENCE,
          "interop/test_importer.py", "Apache 2.0"),
    Opens("Song et al. 2021: VP, DDPM++ (cont.), CIFAR-10", "checkpoint_*.pth", ("song",),
          "paper.py:vp/cifar10_ddpmpp_continuous", 61_804_419, _NEAR, REFERENCE,
          "interop/test_importer.py", "Apache 2.0"),
    Opens("NCSN, CIFAR-10 and others", "checkpoint.pth, and the YAML config", ("ncsn",), "",
          30_117_635, _NEAR, REFERENCE, "interop/test_refinenet.py", "not stated"),
    Opens("NCSNv2, CIFAR-10 and others", "checkpoint.pth, and the YAML config", ("ncsnv2",), "",
          29_694_083, _NEAR, REFERENCE, "interop/test_refinenet.py", "MIT"),
    Opens("EDM, CIFAR-10, DDPM++", "edm-cifar10-32x32-uncond-vp.pkl", ("edm",), "cifar_edm.py",
          55_733_891, _NEAR, REFERENCE, _RELEASED, "CC BY-NC-SA 4.0"),
    Opens("EDM2-S, ImageNet 64x64", "edm2-img64-s-*.pkl", ("edm2",), "imagenet64_edm2.py",
          280_209_381, _NEAR, REFERENCE, _RELEASED, "CC BY-NC-SA 4.0"),
    Opens("DiT-XL/2, ImageNet 256x256", "DiT-XL-2-256x256.pt", ("dit",), "imagenet256_dit.py",
          674_834_720, _NEAR, REFERENCE, _RELEASED, "CC BY-NC 4.0"),
    Opens("SiT-XL/2, ImageNet 256x256", "SiT-XL-2-256x256.pt", ("sit",), "", 674_816_272, _NEAR,
          REFERENCE, _RELEASED, "MIT (README of the code)"),
    Opens("U-ViT", "imagenet256_uvit_huge.pth and others", ("uvit",), "", 500_832_016, _NEAR,
          REFERENCE, _RELEASED, "MIT"),
    Opens("guided-diffusion (ADM)", "256x256_diffusion.pt and others", ("guided_diffusion",), "",
          553_838_086, _NEAR, REFERENCE, _RELEASED, "MIT"),
    Opens("guided-diffusion, classifiers", "256x256_classifier.pt and others",
          ("guided_diffusion_classifier",), "", 54_096_360, _NEAR, REFERENCE, _RELEASED, "MIT"),
    Opens("improved-diffusion", "cifar10_uncond_50M_500K.pt and others", ("improved_diffusion",),
          "", 52_546_438, _NEAR, REFERENCE, _RELEASED, "MIT"),
    Opens("Stable Diffusion 1", "the folder; or v1-5-pruned-emaonly.safetensors",
          ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"), "", 859_520_964, _FAR,
          REFERENCE, _UNET, "CreativeML Open RAIL-M"),
    Opens("Stable Diffusion 1, inpainting", "the folder", ("StableDiffusionInpaintPipeline",), "",
          859_535_364, _FAR, REFERENCE, _UNET, "CreativeML Open RAIL-M"),
    Opens("Stable Diffusion 2", "the folder; or the file", ("StableDiffusionPipeline",), "",
          865_910_724, 6e-4, REFERENCE, _STEPS, _OPENRAIL),
    Opens("Stable Diffusion, x4 upscaler", "the folder", ("StableDiffusionUpscalePipeline",), "",
          473_398_020, _FAR, REFERENCE, _UNET, _OPENRAIL),
    Opens("Stable Diffusion XL", "the folder; or the file",
          ("StableDiffusionXLPipeline", "StableDiffusionXLInpaintPipeline"), "", 2_567_463_684,
          1e-4, REFERENCE, _UNET, _OPENRAIL),
    Opens("Stable Diffusion XL, refiner", "the folder; or the file",
          ("StableDiffusionXLImg2ImgPipeline",), "", 2_259_526_660, 1e-4, REFERENCE,
          "interop/test_refiner.py", _OPENRAIL),
    Opens("Stable Diffusion 3 medium", "the folder; or the file", ("StableDiffusion3Pipeline",),
          "", 2_028_328_000, _NEAR, REFERENCE, "interop/components/test_mmdit.py", _STABILITY),
    Opens("Stable Diffusion 3.5 medium", "the folder; or the file", ("StableDiffusion3Pipeline",),
          "", 2_243_171_520, _NEAR, REFERENCE, "interop/components/test_mmdit.py", _STABILITY),
    Opens("Stable Diffusion 3.5 large", "the folder; or the file", ("StableDiffusion3Pipeline",),
          "", 8_056_627_520, _NEAR, REFERENCE, "interop/components/test_mmdit.py", _STABILITY),
    Opens("FLUX.1-dev", "the folder; or the file over another", ("FluxPipeline",), "",
          11_901_408_320, _NEAR, REFERENCE, "interop/components/test_flux.py",
          "FLUX.1 [dev] Non-Commercial License"),
    Opens("FLUX.1-schnell", "the folder; or the file over another", ("FluxPipeline",), "",
          11_891_178_560, _NEAR, REFERENCE, "interop/components/test_flux.py", "Apache 2.0"),
    Opens("PixArt-alpha XL/2, 1024", "the folder", ("PixArtAlphaPipeline",), "", 611_349_152,
          _NEAR, REFERENCE, "interop/components/test_dit.py", _OPENRAIL),
    Opens("DiT-XL/2 as a pipeline", "the folder", ("DiTPipeline",), "", 749_826_464, _NEAR,
          REFERENCE, "interop/components/test_dit.py", "CC BY-NC 4.0"),
    Opens("Stable Audio Open 1.0", "the folder", ("StableAudioPipeline",), "stable_audio.py",
          1_057_335_552, 2e-6, FORMULAS, "interop/test_stable_audio.py", _STABILITY),
    Opens("Stable Audio Open 1.0, its autoencoder", "the folder vae, or its file", ("oobleck",),
          "", 156_077_696, _NEAR, FORMULAS, "interop/test_oobleck.py", _STABILITY),
    Opens("LLaDA 8B", "the folder", ("LLaDAModelLM",), "llada_8b.py", 8_015_581_184, _NEAR,
          FORMULAS, "interop/test_token_models.py", "MIT"),
    Opens("MDLM, OpenWebText", "the folder", ("MDLM",), "", 162_265_682, _NEAR, FORMULAS,
          "interop/test_token_models.py", "Apache 2.0"),
    Opens("ControlNet of Stable Diffusion 1", "the folder; or control_*.pth", ("ControlNetModel",),
          "", 361_279_120, _FAR, REFERENCE, "interop/components/test_controlnet.py",
          "OpenRAIL (page of sd-controlnet-canny)"),
    Opens("ControlNet of Stable Diffusion XL", "the folder", ("ControlNetModel",), "",
          1_251_014_160, _FAR, REFERENCE, "interop/components/test_controlnet.py",
          "OpenRAIL++ (page of controlnet-canny-sdxl-1.0)"),
    Opens("T2I-Adapter", "the folder, of Stable Diffusion 1", ("T2IAdapter",), "", 77_369_280,
          _NEAR, REFERENCE, "interop/components/test_t2i_adapter.py",
          "Apache 2.0 (page of t2iadapter_canny_sd15v2)"),
    Opens("DINOv2, ViT-L/14 and others", "the folder",
          ("Dinov2Model", "Dinov2WithRegistersModel"), "", 304_367_616, 2e-6, FORMULAS,
          "interop/components/test_dinov2.py", "Apache 2.0 (model card)"),
)  # fmt: skip
