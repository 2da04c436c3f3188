"""Fixed phrases: how relations are said, and how speakers correct themselves within a phrase."""

from __future__ import annotations

CORRECTIONS = (
    ", no, ", ", no, ", " no ", ", no wait, ", " no wait ", ", wait, no, ", ", sorry, ",
    " sorry ", ", I mean ", " I mean ", ", sorry, I mean ", ", sorry I meant ", ", no I mean ", ", or rather ",
    " or rather ", ", actually ", ", no, actually ", "... no, ", "... no wait, ", ", oops, ", ", oh no, ",
    ", uh, no, ", ", um, no, ", ", make that ", ", scratch that, ", ", correction, ", ", oh wait, ", ", hold on, ",
    ", well no, ", " er ", " uh sorry ", " - no, ", ", I meant ",
)  # fmt: skip
CONTRASTS = (", not ", " not ", " and not ", " instead of ", " rather than ")
RELATIONS: tuple[tuple[str, str], ...] = (
    ("next to", "next to"), ("next to", "next to"), ("beside", "next to"), ("by", "next to"), ("alongside", "next to"),
    ("right next to", "next to"), ("under", "under"), ("under", "under"), ("underneath", "under"), ("below", "under"),
    ("beneath", "under"), ("above", "above"), ("over", "above"), ("behind", "behind"), ("behind", "behind"),
    ("in front of", "in front of"), ("in front of", "in front of"), ("right in front of", "in front of"),
    ("near", "near"), ("close to", "near"), ("to the left of", "left of"), ("left of", "left of"),
    ("on the left of", "left of"), ("to the right of", "right of"), ("right of", "right of"),
    ("on the right of", "right of"),
)  # fmt: skip
