"""Published measures of the human hand: bone lengths, their spread, and ranges of motion.

Sources of the numbers:
* bones: A. Buryanov, V. Kotiuk, "Proportions of hand segments", International Journal of
  Morphology 28(3):755-758, 2010 (radiographs of 66 adults; means and standard deviations);
* length and breadth of the whole hand: C. C. Gordon et al., "1988 Anthropometric Survey of U.S.
  Army Personnel", NATICK/TR-89/044;
* fingers' ranges, and those of the thumb's two hinges: American Academy of Orthopaedic Surgeons,
  "Joint Motion: Method of Measuring and Recording", 1965, rounded;
* thumb base: W. P. Cooney et al., "The kinesiology of the thumb trapeziometacarpal joint", Journal
  of Bone and Joint Surgery 63-A:1371-1381, 1981 (arcs of 53 degrees of flexion, 42 of abduction,
  and where the trapezium stands to the third metacarpal), widened as `RANGES_DEG` says.

Ours, because no table gives them: how far the carpus carries the metacarpals from the wrist, how
the knuckles lie side by side, and how much each finger's flexion leans to the thumb. They are
chosen so that the mean hand's length and breadth come out as the survey's.

Rows are thumb, index, middle, ring, little. Lengths in mm, angles in degrees, as published.
"""

from __future__ import annotations

import numpy as np

FINGERS = ("thumb", "index", "middle", "ring", "little")

# Metacarpal, proximal, middle and distal phalanx; the thumb has no middle phalanx.
METACARPALS_MM = np.array([46.22, 68.12, 64.60, 58.00, 53.69])
METACARPALS_SD_MM = np.array([3.94, 6.27, 5.38, 5.06, 4.36])
_PULP_MM = np.array([5.67, 3.84, 3.95, 3.95, 3.73])  # From the last bone's end to the skin.
PHALANGES_MM = np.array(
    [
        [31.57, np.nan, 21.67],
        [39.78, 22.38, 15.82],
        [44.63, 26.33, 17.40],
        [41.37, 25.65, 17.30],
        [32.74, 18.11, 15.96],
    ]
)
PHALANGES_SD_MM = np.array(
    [
        [3.13, np.nan, 1.60],
        [4.94, 2.51, 2.26],
        [3.81, 3.00, 1.85],
        [3.87, 3.29, 2.22],
        [2.77, 2.54, 2.45],
    ]
)

# The three moving segments of each finger: the thumb's begin with its metacarpal.
SEGMENTS_MM = np.concatenate([PHALANGES_MM[:, :2], PHALANGES_MM[:, 2:] + _PULP_MM[:, None]], axis=1)
SEGMENTS_MM[0] = METACARPALS_MM[0], PHALANGES_MM[0, 0], PHALANGES_MM[0, 2] + _PULP_MM[0]
_SEGMENTS_SD_MM = PHALANGES_SD_MM.copy()
_SEGMENTS_SD_MM[0] = METACARPALS_SD_MM[0], PHALANGES_SD_MM[0, 0], PHALANGES_SD_MM[0, 2]
SEGMENTS_SPREAD = _SEGMENTS_SD_MM / SEGMENTS_MM  # Standard deviation as a share of the mean.

# From the wrist to each knuckle: the carpus and the metacarpal in a line, the knuckles fanned out
# sideways (to the thumb positive) and arched to the palm at both edges.
CARPUS_MM = np.array([24.0, 28.0, 29.0, 26.0])
KNUCKLE_SIDE_MM = np.array([22.0, 0.0, -19.0, -36.0])
KNUCKLE_ARCH_MM = np.array([3.0, 0.0, 0.0, 3.0])
# The thumb's first joint, where trapezium and first metacarpal meet: palmar, to the thumb, distal.
THUMB_ROOT_MM = np.array([10.0, 22.0, 20.0])

# Mean and standard deviation of the hand's length (wrist crease to middle tip) and breadth.
HAND_LENGTH_MM = {"man": (193.8, 9.8), "woman": (180.5, 9.7)}
HAND_BREADTH_MM = {"man": (90.4, 4.2), "woman": (79.4, 3.8)}

# Lowest and highest angle of each joint. Passive hyperextension of the fingers is left at 20
# degrees. The thumb base's arcs lie about its middle; they are a third wider than the mean arcs,
# which are those of the metacarpal alone, for two motions that the 21 points cannot tell from the
# base's: those of the trapezium under it and the sideways and turning play of the joint after it.
RANGES_DEG = {
    "thumb_cmc_flexion": (-35.0, 35.0),
    "thumb_cmc_abduction": (-28.0, 28.0),
    "thumb_cmc_pronation": (-20.0, 40.0),
    "thumb_mcp_flexion": (-10.0, 60.0),
    "thumb_ip_flexion": (-15.0, 80.0),
} | {
    f"{finger}_{joint}": limits
    for finger in FINGERS[1:]
    for joint, limits in {
        "mcp_flexion": (-20.0, 90.0),
        "mcp_abduction": (-20.0, 20.0),
        "pip_flexion": (0.0, 100.0),
        "dip_flexion": (-10.0, 90.0),
    }.items()
}

# How far each finger's plane of flexion leans to the thumb, so that a fist's tips draw together.
FLEXION_LEAN_DEG = np.array([0.0, 5.0, 10.0, 18.0])
# Middle of the thumb base's motion: its metacarpal leaves the palm's plane by the first angle and
# turns from the middle finger to the thumb's side by the second.
THUMB_PALMAR_DEG, THUMB_RADIAL_DEG = 38.0, 40.0
