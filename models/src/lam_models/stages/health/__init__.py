"""The health report of a latent-action system: what its latents hold, and what is wrong with them.

subject.py     a system under examination, asked batch by batch
truth.py       what the dataset knows of the clips; material.py holds both together
reading.py     probes: the action by group, state, distractors, raw frames
contents.py    what is held and what leaks, from probes
codebook.py    how evenly codes are used
prediction.py  is the latent used, and for the action rather than the image
transfer.py    does a latent mean the same elsewhere; carry.py asks it of episodes and datasets
algebra.py     do latents add up and turn around
examine.py     all measures of one system: `examine(model, train_clips, test_clips)`
words.py       illnesses, each with the number that says so
catalogue.py   every measure in words, with its formula
gallery.py pictures.py page.py command.py    what is shown, and `lam health`
"""
