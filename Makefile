# make help says what there is.
FROM ?= pike
TO ?= queens
ACCOUNT ?= rollout
PORT ?= 8080
python := .venv/bin/python
hop = --release "$(FROM)" --target "$(TO)" $(if $(OWN_CACHE),--own-cache)
# A file's tests stay together, for they share what is dear to start.
side_by_side := -n 2 --dist loadfile --no-loadscope-reorder
# The lab takes its releases from the upgrade's own catalogue.
export PYTHONPATH := $(CURDIR)/plugins$(if $(PYTHONPATH),:$(PYTHONPATH))
export KEYSTONE_DIST

.DEFAULT_GOAL := help
# Each target asks for its part of the set-up; two parts at a time would install over each other.
.NOTPARALLEL:
.PHONY: help setup setup-environment setup-lab lab lab-reset lab-status plan rehearsal hops odyssey test \
	test-scenarios simulate screenshots bench bench-load check lint ui airflow airflow-worker airflow-connections \
	airflow-down connections wheel sudoers reference clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-19s %s\n", $$1, $$2}' Makefile
	@echo "for lab, plan and rehearsal:"
	@echo "  FROM=$(FROM) TO=$(TO)  releases by codename (2023.1), number (23) or version (23.0.2)"
	@echo "  OWN_CACHE=1          the target's nodes get a memcached of their own, needed or not"
	@echo "  KEYSTONE_DIST=/folder  source archives or wheels of Keystone that are taken from there"
	@echo "                       instead of PyPI; Newton and Ocata are not on PyPI"
	@echo "for airflow (docs/deployment.md):"
	@echo "  PORT=$(PORT)            of the page, on 127.0.0.1"
	@echo "  FILES=/folder        what the cloud files name: configurations, keys, backups"
	@echo "  URL=https://...      how a browser reaches the page, behind a proxy of yours"
	@echo "  CELERY=1             tasks run in a worker, which may be on another machine"

setup: ## all that any target needs: environment, Docker engine, base images, browser; only what is missing
	@lab/setup.sh tests

# Not if make was given another interpreter (python=...). Standard output may be on its way to a file.
setup-environment:
	@$(if $(filter .venv/bin/python,$(python)),lab/setup.sh environment >&2)

setup-lab:
	@lab/setup.sh lab

lab: setup-lab ## start the staging cloud at the release FROM
	@$(python) -m lab up $(hop)

lab-reset: setup-lab ## put the staging cloud back to its source release
	@$(python) -m lab reset

lab-status: setup-lab ## one table: nodes, releases, HAProxy states, schema versions
	@$(python) -m lab status

plan: setup-lab ## what an upgrade of the staging cloud would do, on one page; changes nothing
	@$(python) -m lab plan $(hop)

rehearsal: setup-lab ## upgrade the staging cloud under load, with a report
	@$(python) -m lab rehearsal $(hop)

hops: setup-lab ## a rehearsal of every hop between two releases; HOPS=12-13,23-25 picks some
	@$(python) -m lab hops --only "$(HOPS)"

odyssey: setup-lab ## one database with its users through every release; GO_ON=1 from where it stopped
	@$(python) -m lab odyssey $(if $(GO_ON),--go-on)

# First what needs no lab, side by side; then the lab's tests, alone. Both, whatever the first says.
test: setup lint lab ## lint and all tests, one full rehearsal included
	@status=0; \
	  $(python) -m pytest --durations=40 $(side_by_side) -m "not lab" || status=1; \
	  $(python) -m pytest --durations=40 -m lab --ignore $(outages) || status=1; exit $$status

# Outages take minutes: they run here, and their dated result is docs/faults.md.
outages := tests/scenarios/test_5_outages.py

test-scenarios: setup lab ## all faults: each strikes, and the upgrade has to answer for it
	@$(python) -m pytest tests/scenarios

simulate: setup-environment ## faults at every effect of simulated runs, 10,000 random schedules; SEED=<n> repeats one
	@SEED="$(SEED)" $(python) -m tests.simulation

screenshots: setup lab ## the pictures of the documentation, taken while the browser's tests run
	@SCREENSHOTS=docs/images $(python) -m pytest -m browser

bench: lab ## the upgrade against a plain shell script, measured side by side
	@$(python) -m bench

bench-load: setup-environment ## what one process of the load can do, and what the default rate costs
	@$(python) -m bench.load_generator

check: lint ## lint, and the tests that need neither lab nor browser; for contributors
	@$(python) -m pytest $(side_by_side) -m "not lab and not browser"

lint: setup-environment ## ruff and mypy
	@$(python) -m ruff check . && $(python) -m ruff format --check . && $(python) -m mypy

ui: lab ## Airflow's web page against the staging cloud on 127.0.0.1:8080
	@$(python) -m lab ui

airflow: setup-lab ## Airflow as operators run it: in containers, with a login
	@$(python) -m production up --port "$(PORT)" --files "$(FILES)" --url "$(URL)" $(if $(CELERY),--celery)

airflow-worker: setup-lab ## a worker for an Airflow that was started with CELERY=1 elsewhere
	@$(python) -m production worker --port "$(PORT)" --files "$(FILES)"

airflow-connections: setup-environment ## store the connections of FILE=<file> in it, encrypted
	@$(python) -m production connections "$(FILE)"

airflow-down: setup-environment ## stop it; its database, secrets, logs and reports stay
	@$(python) -m production down

connections: setup-environment ## print the Airflow connections that CLOUD=<name> needs, to fill in
	@$(python) -m keystone_rollout.cli.connections "$(CLOUD)"

wheel: setup-environment ## a distribution for an Airflow that exists, in dist/
	@rm -rf build # an earlier one's modules would be packed, too, also those that are gone
	@$(python) -m pip wheel -q --no-deps --no-build-isolation --wheel-dir dist . && ls dist/*.whl

sudoers: setup-environment ## print what the nodes of CLOUD=<name> have to allow ACCOUNT=rollout as root
	@$(python) -m keystone_rollout.cli.sudoers "$(CLOUD)" --account "$(ACCOUNT)"

reference: setup-environment ## write docs/cloud-file.md, the reference of the cloud file, from its model
	@$(python) -m keystone_rollout.cli.reference

clean: ## remove everything of this project from this machine, and nothing else
	@lab/clean.sh
