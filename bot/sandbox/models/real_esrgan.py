"""nightmareai/real-esrgan: performed by the resampler. Real enlarging; it adds no detail that was not there."""

from bot.sandbox.failures import SandboxModelFailed
from bot.sandbox.fields import InputField
from bot.sandbox.model import SandboxModel, SandboxOutputKind
from bot.sandbox.resampler import TooManyPixels, UnreadablePicture, enlarge
from bot.sandbox.run import SandboxRun


async def _upscale(run: SandboxRun) -> None:
    picture = await run.read_file("image")
    if picture is None:
        raise SandboxModelFailed("Input validation error: image is required")
    scale = float(run.input.get("scale", 4))
    run.log("Sandbox resampler: Lanczos and back-projection, not an AI model; it adds no detail.")
    if run.input.get("face_enhance"):
        run.log("face_enhance needs the real model and is ignored here.")
    try:
        enlarged = await run.run_in_worker(enlarge, picture, scale)
    except (TooManyPixels, UnreadablePicture) as error:
        raise SandboxModelFailed(str(error)) from error
    await run.run_steps(4, 1.2)
    run.add_file(enlarged, "png")
    run.set_metric("image_count", 1)


REAL_ESRGAN = SandboxModel(
    owner="nightmareai",
    name="real-esrgan",
    version="f121d640bd286e1fdc67f9799164c1d5be36ff74576ee11c803ae5b665dd46aa",
    description="Sandbox: classical resampling (Lanczos, back-projection), in the place of Real-ESRGAN.",
    fields=(
        InputField("image", "file", "Input image", required=True),
        InputField("scale", "number", "Factor to scale image by", default=4, minimum=0, maximum=10),
        InputField("face_enhance", "boolean", "Run GFPGAN face enhancement along with upscaling", default=False),
    ),
    output=SandboxOutputKind.FILE,
    perform=_upscale,
)
