# `make demo` and `make test` install all they need into .venv, which `make clean` removes.
PYTHON ?= python3
ENV := . .venv/lam-env.sh &&

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench metaworld lock clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

setup:  ## make .venv, build the ROS 2 packages (seconds when nothing changed)
	@$(PYTHON) ros2_ws/bootstrap.py

demo: setup  ## ten episodes in simulation over real ROS 2 messages; video in out/demo
	@$(ENV) lam demo --out out/demo

test: setup  ## every test
	@$(ENV) python -m pytest

lint: setup  ## ruff, pyright and the direction of imports
	@$(ENV) ruff check . && ruff format --check . && pyright && python -m pytest -q tests/test_layers.py

bench: setup  ## every benchmark in its quick form
	@$(ENV) for script in $$(grep -l __main__ bench/*.py); do python $$script --quick || exit 1; done

metaworld: setup  ## Meta-World in a venv of its own, for --world metaworld
	@test -d .venv-metaworld || $(PYTHON) -m venv .venv-metaworld
	@.venv-metaworld/bin/pip install --disable-pip-version-check -r requirements/metaworld.txt

lock:  ## resolve requirements/*.in anew into requirements/lock.txt
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/pip install -r requirements/ros.in -r requirements/python.in
	@(head -n 1 requirements/lock.txt; .venv-lock/bin/python requirements/freeze.py) > requirements/lock.new
	@mv requirements/lock.new requirements/lock.txt; rm -rf .venv-lock

clean:  ## remove everything that was installed or built
	rm -rf .venv .venv-metaworld ros2_ws/build ros2_ws/install ros2_ws/log .pytest_cache .ruff_cache .hypothesis
