"""How probably a picture breaks a rule, as ShieldGemma 2 is asked it.

Owns the question, which the model's own chat template finishes, as transformers'
ShieldGemma2Processor puts it: the picture, then the rule, and no header of an answer. The score is
core/guard.py's. The picture comes before the rule, so the rules of one picture share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.guard import PICTURES_BUILT_IN, THRESHOLD, PicturePolicy, Score, score, yes_and_no
from ..core.session import Session
from .pictures import Pictures
from .prompt import lay_out


def check_picture(
    session: Session,
    pictures: Pictures,
    picture: Any,
    policies: Sequence[PicturePolicy] = PICTURES_BUILT_IN,
    threshold: float = THRESHOLD,
) -> list[Score]:
    """A score for each policy of a picture: a path, a data URL, a file's bytes or a Pillow image.

    What the session's cache holds is reused and replaced. Raises SlmError: what `lay_out` and
    `Pictures.show` raise, "unsupported" for a vocabulary without Yes and No, and "context_full".
    """
    words = yes_and_no(session.model)
    scores = []
    for policy in policies:
        asked = [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": picture}},
                    {"type": "text", "text": policy.question},
                ],
            }
        ]
        prompt = lay_out(session.model, pictures.vision.info, asked, add_generation_prompt=False)
        pictures.show(session, prompt)
        scores.append(score(session, policy, prompt.ids, words, threshold))
    return scores
