"""The doctor of datasets: what is wrong with a LeRobotDataset v3, in words.

finding.py      what a check says: a name, episodes, evidence, a cure, something to look at
patient.py      the dataset as the checks see it; admission.py reads it, damage is no error there
thumbnails.py   small pictures of the cameras at chosen frames, and what their files say
motion.py       which columns mean a position, a rotation, a step of the end effector
files.py timing.py cameras.py swaps.py values.py units.py actions.py instructions.py
statistics_check.py
                one family of checks each: functions `check(patient)` that yield findings
examine.py      the list of checks, and `examine(path)`
report.py       report.md; pictures.py draws what findings show
"""
