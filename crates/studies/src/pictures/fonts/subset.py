"""Cuts the two faces of Inter that labels are drawn with down to the characters
they need, with figures of one width. Wants fonttools and Inter 4 (OFL-1.1):

    python subset.py FOLDER_WITH_INTER_OTF
"""

import sys
from pathlib import Path

from fontTools import subset

# Basic Latin, Latin-1, Greek, and the signs of labels.
TEXT = [*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x3B1, 0x3CA)]
SIGNS = "–—‘’“”…−×·•‰≈≤≥∞√∂→←↑↓‖₀₁₂₃"
UNICODES = TEXT + [ord(c) for c in SIGNS]

for name in ["Inter-Regular", "Inter-SemiBold"]:
    options = subset.Options(
        layout_features=["tnum"], hinting=False, desubroutinize=True, notdef_outline=True
    )
    options.name_IDs = [0, 1, 2, 4, 6, 13, 14]
    font = subset.load_font(str(Path(sys.argv[1]) / f"{name}.otf"), options)
    # Labels are drawn glyph by glyph, without layout features, so the figures
    # of one width take the place of the proportional ones.
    widths = {}
    gsub = font["GSUB"].table
    for record in gsub.FeatureList.FeatureRecord:
        if record.FeatureTag == "tnum":
            for lookup in record.Feature.LookupListIndex:
                for table in gsub.LookupList.Lookup[lookup].SubTable:
                    widths.update(getattr(table, "ExtSubTable", table).mapping)
    for table in font["cmap"].tables:
        table.cmap = {
            code: widths.get(glyph, glyph) if chr(code) in "0123456789" else glyph
            for code, glyph in table.cmap.items()
        }
    options.layout_features = []
    options.drop_tables += ["GPOS", "GSUB", "GDEF", "BASE", "STAT"]
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=UNICODES)
    cutter.subset(font)
    missing = [chr(u) for u in UNICODES if u not in font.getBestCmap()]
    print(name, "lacks", "".join(missing) or "nothing")
    subset.save_font(font, str(Path(__file__).with_name(f"{name}.otf")), options)
