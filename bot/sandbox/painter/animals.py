"""A sitting animal, seen from the front left: fox, wolf, cat or dog by its colours, ears and tail."""

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

from bot.sandbox.painter.brush import Canvas, Point, dim_colour, fade_mask, paint_glow
from bot.sandbox.painter.scene import Colour, mix


@dataclass(frozen=True)
class Coat:
    body: Colour
    chest: Colour
    tip: Colour
    ear: float
    tail: float


COATS = {
    "fox": Coat((222, 112, 40), (252, 240, 226), (60, 36, 30), ear=1.0, tail=1.0),
    "wolf": Coat((118, 124, 134), (226, 228, 230), (60, 62, 72), ear=0.85, tail=0.8),
    "cat": Coat((84, 76, 82), (214, 204, 196), (44, 40, 46), ear=0.8, tail=0.42),
    "dog": Coat((198, 146, 88), (248, 238, 222), (110, 72, 44), ear=0.7, tail=0.5),
}


def paint_animal(canvas: Canvas, kind: str, x: float, foot: float, tall: float) -> None:
    """Paint a sitting animal on row `foot`, `tall` pixels high."""
    coat, side = COATS[kind], max(32, int(tall * 1.5))
    patch = Image.new("RGBA", (side * 3, side * 3))
    _Sitter(patch, coat, side * 3, canvas).paint()
    patch = patch.resize((side, side), Image.Resampling.LANCZOS)
    _paint_ground_shadow(canvas, x, foot, tall)
    canvas.picture.paste(patch.convert("RGB"), (int(x - side / 2), int(foot - side * 0.93)), patch.getchannel("A"))
    edge = canvas.light[0] - x
    paint_glow(
        canvas, (x + math.copysign(tall * 0.25, edge), foot - tall * 0.75), tall * 0.5, canvas.palette.light, 0.12, 2
    )


def _paint_ground_shadow(canvas: Canvas, x: float, foot: float, tall: float) -> None:
    shadow = Image.new("L", canvas.picture.size)
    ImageDraw.Draw(shadow).ellipse((x - tall * 0.5, foot - tall * 0.07, x + tall * 0.55, foot + tall * 0.07), fill=190)
    canvas.fill(fade_mask(shadow.filter(ImageFilter.BoxBlur(tall * 0.04)), 0.6), canvas.palette.land)


class _Sitter:
    """Draws on a square patch with coordinates from 0 to 1."""

    def __init__(self, patch: Image.Image, coat: Coat, side: int, canvas: Canvas) -> None:
        self._pen = ImageDraw.Draw(patch)
        self._side = side
        dark = 0.55 if canvas.palette.is_dark else 0.10

        def seen(colour: Colour) -> Colour:
            return mix(mix(colour, canvas.palette.haze, 0.10), canvas.palette.land, dark)

        self._body, self._chest, self._tip = seen(coat.body), seen(coat.chest), seen(coat.tip)
        self._shadow = mix(self._body, self._tip, 0.35)
        self._eye = dim_colour(canvas, (24, 18, 18))
        self._coat = coat

    def paint(self) -> None:
        self._draw_tail()
        self._draw_haunch()
        self._draw_legs()
        self._draw_torso()
        self._draw_head()

    def _draw_tail(self) -> None:
        thick = self._coat.tail
        spine = [(0.62 + 0.26 * math.sin(t / 15 * 2.5), 0.90 - 0.40 * (t / 15) ** 1.3 * thick) for t in range(16)]
        for index, (cx, cy) in enumerate(spine):
            share = index / 15
            reach = (0.012 + 0.095 * math.sin(0.35 + share * (math.pi - 0.4))) * (0.35 + 0.65 * thick)
            self._draw_ellipse(cx, cy, reach, reach, self._chest if share > 0.72 and thick > 0.7 else self._shadow)

    def _draw_haunch(self) -> None:
        self._draw_ellipse(0.575, 0.79, 0.155, 0.150, self._shadow)
        self._draw_ellipse(0.565, 0.785, 0.145, 0.140, self._body)

    def _draw_torso(self) -> None:
        self._draw_shape(
            [(0.37, 0.42), (0.57, 0.42), (0.64, 0.58), (0.66, 0.72), (0.58, 0.80), (0.40, 0.78), (0.35, 0.64)],
            self._body,
        )
        self._draw_ellipse(0.47, 0.50, 0.115, 0.13, self._body)
        self._draw_shape(
            [(0.375, 0.46), (0.52, 0.46), (0.515, 0.60), (0.475, 0.74), (0.445, 0.80), (0.405, 0.70), (0.37, 0.58)],
            self._chest,
        )

    def _draw_legs(self) -> None:
        for left, colour in ((0.475, self._shadow), (0.385, self._body)):
            self._draw_shape([(left, 0.62), (left + 0.085, 0.62), (left + 0.07, 0.92), (left + 0.005, 0.92)], colour)
            self._draw_ellipse(left + 0.034, 0.915, 0.046, 0.026, self._tip)
        self._draw_ellipse(0.60, 0.92, 0.075, 0.026, self._tip)

    def _draw_head(self) -> None:
        ear = self._coat.ear
        for base, tip in (((0.335, 0.425), (0.330, 0.30 - 0.20 * ear)), ((0.485, 0.585), (0.590, 0.30 - 0.20 * ear))):
            self._draw_shape([(base[0], 0.33), (tip[0], tip[1]), (base[1], 0.30)], self._body)
            self._draw_shape(
                [(base[0] + 0.02, 0.31), (tip[0] + 0.003, tip[1] + 0.05), (base[1] - 0.022, 0.29)], self._tip
            )
        self._draw_ellipse(0.46, 0.335, 0.145, 0.115, self._body)
        self._draw_shape([(0.32, 0.35), (0.60, 0.35), (0.545, 0.43), (0.455, 0.505), (0.375, 0.43)], self._body)
        self._draw_shape([(0.315, 0.365), (0.405, 0.355), (0.45, 0.42), (0.45, 0.49), (0.375, 0.435)], self._chest)
        self._draw_shape([(0.605, 0.365), (0.515, 0.355), (0.465, 0.42), (0.46, 0.49), (0.545, 0.435)], self._chest)
        self._draw_ellipse(0.4575, 0.487, 0.024, 0.018, self._eye)
        for cx in (0.395, 0.525):
            self._draw_ellipse(cx, 0.345, 0.0165, 0.021, self._eye)
            self._draw_ellipse(cx - 0.005, 0.338, 0.005, 0.006, (255, 255, 255))

    def _draw_ellipse(self, x: float, y: float, half_wide: float, half_tall: float, colour: Colour) -> None:
        box = (x - half_wide, y - half_tall, x + half_wide, y + half_tall)
        self._pen.ellipse([edge * self._side for edge in box], fill=colour)

    def _draw_shape(self, outline: list[Point], colour: Colour) -> None:
        self._pen.polygon([(x * self._side, y * self._side) for x, y in outline], fill=colour)
