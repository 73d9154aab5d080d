"""Every model of the sandbox, in the order that GET /v1/models lists them."""

from bot.sandbox.guide import Guide
from bot.sandbox.model import SandboxModel
from bot.sandbox.models.blip import BLIP, BLIP_2
from bot.sandbox.models.flux import FLUX_DEV, FLUX_PRO, FLUX_SCHNELL
from bot.sandbox.models.llama import create_llamas
from bot.sandbox.models.real_esrgan import REAL_ESRGAN
from bot.sandbox.models.sdxl import SDXL


def create_models(guide: Guide) -> list[SandboxModel]:
    return [FLUX_SCHNELL, FLUX_DEV, FLUX_PRO, SDXL, REAL_ESRGAN, *create_llamas(guide), BLIP, BLIP_2]
