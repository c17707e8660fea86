"""Leaves: network parts that several systems share, with plain arguments and no knowledge of them.

quantise (what every bottleneck returns), vq, nsvq, fsq, gaussian: bottlenecks
patches, conv, unet, vision: images to features and back
positions, attention, transformer, adaln, cvivit, pool: tokens to tokens
heads, losses

Layouts: images [batch, channels, height, width] in [0, 1] unless said otherwise; tokens
[batch, tokens, width]; video tokens [batch, time, tokens, width]. Randomness comes from torch's
global generator, so a training loop that saves its state resumes exactly.
"""
