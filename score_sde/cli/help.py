"""What --help prints: what a command line may say, and the fields of a config."""

from __future__ import annotations

import textwrap
from typing import Any

from ml_collections import ConfigDict

from score_sde.runs import choices
from score_sde.runs import config as configs
from score_sde.sections import Entry
from score_sde.values import describe

_WIDTH = 100

HELP = """\
Score-based and diffusion models of images, text, sound, video, shapes and molecules, in JAX.

Train, or go on with a run that was interrupted:
  PROGRAM --config=digits_vp
Draw samples from a run, or go on training it without --mode; its folder says all the rest:
  PROGRAM --workdir=runs/digits_vp --mode=sample --num_samples=64
Measure a run on held-out examples, by its config.evaluation.metrics:
  PROGRAM --workdir=runs/digits_vp --mode=evaluate
Draw a picture of a text, by a released pipeline that was imported:
  PROGRAM --workdir=runs/sd15 --mode=sample --prompt="a corgi"
Make a run of a released checkpoint (back again: python -m score_sde.interop.export):
  PROGRAM --mode=import --checkpoint=FILE --workdir=DIR

Flags:
  --config=RECIPE     a file such as configs/digits_vp.py, or the name of a recipe that comes with
                      the code (paper:NAME for those of the paper; paper:help lists them). Or a
                      run's config.json: with another --workdir, a new run with its config.
                      --mode=import: auto (default) proposes one that fits the file, of EDM, EDM2,
                      DiT, SiT, U-ViT, guided- or improved-diffusion, NCSN or NCSNv2; those of
                      score_sde_pytorch need their paper:NAME
  --config.A.B=VALUE  change any field of it, such as --config.training.batch_size=64
  --mode=MODE         train (default), sample, evaluate or import
  --workdir=DIR       the run's folder; runs/NAME for a recipe NAME.py if not given. Without
                      --config it opens the run that is there, with all that its config.json says
  --task=TASK         what to sample: class, inpaint, colorize, superres (a larger image, from the
                      means of its squares), infill (tokens), motif (a chain or a molecule around
                      a part of another) or shallow (what something else predicted, drawn anew);
                      plain samples if not given. With --prompt: img2img, an image drawn again;
                      inpaint, a part of it; outpaint, more around it; superres, by a model made
                      for that; edit, what it shows replaced
  --label=CLASS       --task=class: its name or its number; each in turn if not given
  --classifier=DIR    --task=class: the run of a classifier, for a model that is told no classes
  --scale=S           --task=class: factor on the classifier's gradient, 1 by default
  --condition=NAME=V  what a conditional model is told: a class by its name or number, a number,
                      numbers with commas, a text, or the file of an image; once for each condition.
                      A class that is not given is drawn, another condition is that of a training
                      example; with --prompt a model is told nothing that is not given
  --prompt=TEXT       what a model that is told of texts is to draw; once for each picture. Or a
                      file of texts: FILE.txt, a line each, or FILE.csv with the columns prompt,
                      negative, seed, and those of --condition. PNGs go to the run's prompts/, or to
                      the folder --out, with their parameters inside, and a sheet of several beside
                      it; --num_samples=N draws N of each, with the noise of its seed or of
                      config.sampling.seed. Pictures that are there with the same parameters stay
  --negative=TEXT     --prompt: what to lead away from
  --height=N          --prompt: of the picture, in pixels; --width=N too. If not given, those of the
                      image that is given, or of training; with them, an image is resized
  --frames=N          --prompt, of a run with motion: videos of N frames, as animated PNGs
  --skip_layers=I,J:SCALE:START:END
                      --prompt, of Stable Diffusion 3: lead away from the model without these blocks
                      (counted from 0), by a scale (2.8) in the steps that begin between two shares
                      of them (0.01:0.2)
  --image=FILE        --prompt, with such a task: the image that it is about
  --strength=S        img2img and shallow: the share of the steps that is made, above 0 to 1; 0.6 by
                      default, and 1 for inpaint and outpaint
  --noise_level=K     superres with --prompt: of the noise on the small image, 20 by default
  --prompt_from=TEXT  edit: what the image shows; it is led to noise and back along the ODE
  --extend=SIDE:N     outpaint: N pixels more at top, bottom, left or right; once for each
  --control=DIR:IMAGE:SCALE:START:END:guess
                      --prompt: steer by a ControlNet, a T2I-adapter or an IP-Adapter (by which
                      the image prompts), DIR as --mode=import makes it of a released folder or
                      file, and an image. All after IMAGE may be left out: how much (1), the shares
                      of the steps between which it does (0:1), guess mode. Once for each; with an
                      image of another size, but to an IP-Adapter, give --height and --width
  --lora=FILE:S       --mode=sample: add an adapter (LoRA, LoCon, DoRA; .safetensors) with the
                      strength S, 1 if not given; once for each adapter
  --mask=WHERE        --task=inpaint: what to draw: left, right (default), top, bottom or center, or
                      a PNG file, white where pixels are known; of a video future, past or
                      between too; of a chain start, middle or end; of a molecule start, end or
                      hydrogens
  --text=TEXT         --task=infill, of models of tokens: what is known; _ stands for a token that
                      is drawn, \\n for a line end (of words: the end), and what follows is drawn
  --keep=START:STOP:STEP
                      --task=infill or inpaint: which tokens, frames, residues or atoms of held-out
                      examples are known, counted from 0; 0::4 is the first of every four
  --motif=FILE:RANGES --task=motif: residues of a PDB file, or atoms of an SDF or XYZ file, around
                      which the rest is drawn: FILE:10-30, of the chain A FILE:A10-18,25-30, of the
                      chain 1 FILE:1:10-30, as the file counts them. They lie to each other as
                      there, turned in any way
  --at=N              --task=motif: where its first is in the sample, from 1; else in the middle
  --from=FILE.npz     --task=shallow: examples as sampling writes them, "samples" (or the name of
                      the modelled field) and what the model is told; they are noised, and drawn
                      from there
  --real=FILE.npz     --task=shallow: what they are predictions of, in their order, under the name
                      of the field or as "samples": the error says from which time to draw, the
                      first at which the two are no further apart than data and prior
  --factor=N          --task=superres: side of a square in pixels, 2 by default
  --method=METHOD     inpaint, colorize, superres and motif: replacement (default; give it
                      correctors), pigdm, dps or moments, with any sampler, or gibbs, which has a
                      sampler of its own and converges to the posterior (not of points)
  --sweeps=N          --method=gibbs: of 5 evaluations each, 100 by default
  --num_samples=N     how many examples to sample; config.sampling.num_samples if not given
  --out=FILE          where samples go, FILE.npz and FILE.png, or a folder; the run's if not given
  --overwrite         replace files of other samples there; nothing is replaced without it
  --weights=WHICH     parameters to sample or evaluate with: ema (default), raw, a decay such as
                      0.999, or posthoc:0.07, a length (see config.training.ema_profiles).
                      --mode=import: raw if the file has no moving averages
  --checkpoint=FILE   the .pkl, .pt, .pth or .safetensors file to import; needs no PyTorch and no
                      data. Of text to image also a folder of components, or a single file; of
                      LLaDA and MDLM the folder
  --components=DIR    with a single file: a folder of components that has its tokenisers, and says
                      or has what else the file lacks; of an IP-Adapter that of its image encoder;
                      of LLaDA and MDLM that of tokenizer.json, if it is not in theirs
  --motion=DIR        of a pipeline of Stable Diffusion 1: the folder of a released motion adapter
                      (AnimateDiff), with which the run draws videos: --prompt=TEXT --frames=16
  --step=N            checkpoint to sample from or to evaluate; the newest if not given
  --init_from=DIR     a new run starts from the weights of this run, or of its checkpoint
                      DIR/checkpoints/STEP: from its moving average, or what --weights says. What
                      does not fit begins anew, and is listed
  --distributed       one process of several. Slurm, Open MPI, TPU pods and Kubernetes (with the
                      package kubernetes) are recognised by themselves, and so are the variables
                      MASTER_ADDR, MASTER_PORT, WORLD_SIZE and RANK or JOB_COMPLETION_INDEX, with
                      JAX_COORDINATOR_ADDRESS=HOST:PORT in place of the first two. One that is
                      alone on its host takes all devices there, of several each one GPU
  --coordinator=HOST:PORT --processes=N --process=I
                      elsewhere: where the first process listens, how many there are, and which
                      one this is, from 0
  --help              this text; with --config=RECIPE or --workdir=RUN also the fields of that
                      config, with what other flags change: what each means and what it takes

A ~ at the beginning of a path is your home folder. Other variables, such as $HOME, are for the
shell to replace, and a tuple is for it to leave alone: --config.model.channel_mult='(1,2)'.

A run's folder holds config.json, metrics.csv, tensorboard/, checkpoints/, samples/STEP.png,
real.png, what was drawn (samples.npz and .png) and measured (evaluation.json, evaluation/), and
report.html, which shows all of it.
"""


_LEFT_OUT = (
    "Left out is what nothing reads with these choices: fields of other conditions, metrics, "
    "networks, objectives, processes, samplers, spaces and rules of guidance. With a flag that "
    "chooses another, such as --config.sampling.sampler=edm, --help shows the fields of that one."
)


def fields(config: ConfigDict) -> str:
    """Every field that something reads: as a flag with its value, what it means and takes."""
    values = dict(configs.flatten(config.to_dict()))
    entries = choices.in_force(config)
    said = (_field(path, values[path], entry) for path, entry in entries.items())
    return "\n".join([*said, "", textwrap.fill(_LEFT_OUT, _WIDTH)])


def _field(path: str, value: Any, entry: Entry) -> str:
    about = f"{entry.meaning.rstrip('.')}. Takes {describe(entry.annotation)}."
    if value != entry.default:
        about += f" Its default is {entry.default!r}."
    indent = " " * 6
    lines = textwrap.fill(about, _WIDTH, initial_indent=indent, subsequent_indent=indent)
    return f"  --config.{path}={typed(value)}\n{lines}"


def typed(value: Any) -> str:
    """A value as it is typed on a command line: a tuple without spaces."""
    return repr(value).replace(" ", "") if isinstance(value, tuple) else str(value)
