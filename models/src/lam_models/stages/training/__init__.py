"""The one training loop, and what it is made of.

recipe.py    the numbers of a run
loop.py      steps, and what is due after each: `train(model, batch_at, recipe, folder)`
trainer.py   one step: device, precision, gradients, averages
snapshot.py  what is saved to go on from; ema.py the averaged weights; stopping.py signals
journal.py   what is said while it runs; curves.py the picture of it
"""
