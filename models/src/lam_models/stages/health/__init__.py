"""The health report of a latent-action system: what its latents hold, and what is wrong with them.

subject.py     a system under examination, asked batch by batch
reading.py     what can be read from a latent: action, state, distractors
codebook.py    how evenly codes are used
prediction.py  is the latent used, and for the action rather than the image
transfer.py    does a latent mean the same on other scenes and other embodiments
algebra.py     do latents add up and turn around
examine.py     all measures of one system: `examine(model, train_clips, test_clips)`
words.py       illnesses, each with the number that says so
gallery.py pictures.py page.py command.py    what is shown, and `lam health`
"""
