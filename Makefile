# Everything starts here: `make help` lists the verbs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
EPISODES ?=
ARGS   ?=
WORKERS ?= 5

.DEFAULT_GOAL := help
# Ctrl-C ends what runs here as it ends any program: quietly, and make has no complaint to add.
interruptible = trap : INT; $(1) || { code=$$?; [ $$code -eq 130 ] || exit $$code; }
# A virtual environment that was not finished is made again.
.DELETE_ON_ERROR:

.PHONY: demo
demo: $(VENV)/.demo ## the arm follows sentences, yours too; an update goes through, a broken one rolls back (EPISODES=5: only the arm)
	@$(call interruptible,$(if $(EPISODES),$(BIN)/edge-runtime run --episodes $(EPISODES),$(BIN)/python -m scripts.demo) $(ARGS))

# Three parts, each with its own closing line; all run, and any one fails the verb. First what some workers share, five on two
# cores, as tests wait more than they work (tests/side_by_side.py says who gets what); then what is held to times of the wall
# clock, a few at once where there is time for that, and the rest one by one.
# A test that hangs fails by a signal, and a worker that ends ends the run: neither may leave the others waiting.
SHARED := --dist loadfile --no-loadscope-reorder --max-worker-restart=0 --timeout-method=signal
SIDE_BY_SIDE = -n $(WORKERS) $(SHARED) -m 'not realtime and not gpio_chip and not gpu and not lerobot and not public_gym'
IN_COMPANY := -n 3 $(SHARED) -m 'realtime and in_company and not gpio_chip and not gpu and not lerobot and not public_gym'
ALONE := -m 'realtime and not in_company and not gpio_chip and not gpu and not lerobot and not public_gym'
SLOWEST := --durations=10

# Whatever the environment says: what the many processes of the tests import is compiled once, before the workers all do it.
COMPILED := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX='$(CURDIR)/build/bytecode'

.PHONY: test
test: lint $(VENV)/.dev ## lint, types, import contracts and all tests
	@$(BIN)/python -c 'from edge_runtime.policies.processor import describe; print("on", describe())'
	@test -d build/bytecode || $(COMPILED) $(BIN)/python -m pytest --collect-only -qq >/dev/null 2>&1 || true
	@failed=0; for part in "$(SIDE_BY_SIDE)" "$(IN_COMPANY)" "$(ALONE)"; do \
		eval "$(COMPILED) $(BIN)/python -m pytest $(SLOWEST) $$part" || failed=1; done; exit $$failed

.PHONY: evaluate
evaluate: $(VENV)/.demo ## 100 episodes through the whole runtime in virtual time, success rate with its interval
	@$(call interruptible,$(BIN)/edge-runtime evaluate --episodes 100 $(ARGS))

.PHONY: lint
lint: $(VENV)/.dev ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

.PHONY: fuzz
fuzz: $(VENV)/.dev ## a billion hostile ticks through the safety kernel on all cores; goes on where it was interrupted
	@$(BIN)/python -m tests.safety.fuzz_campaign $(ARGS)

.PHONY: judge
judge: $(VENV)/.dev ## ten million ticks of setpoints that want links to meet, on four robots; MuJoCo measures how near they come
	@$(BIN)/python -m tests.safety.judge $(ARGS)

.PHONY: powercut
powercut: $(VENV)/.dev ## the power is cut at every system call of an update and at random; writes are lost, disks refuse
	@$(BIN)/python -m tests.ota.power_cut_campaign $(ARGS)
	@$(BIN)/python -m tests.hub.hub_cut_campaign

.PHONY: mutate
mutate: $(VENV)/.dev ## every decision that refuses an attack or keeps a floor is broken in turn: a test has to fail
	@$(BIN)/python -c 'import mutmut' 2>/dev/null || $(BIN)/python scripts/install.py '.[mutation]'
	@$(BIN)/python -m tests.ota.mutation $(ARGS)

.PHONY: processors
processors: $(VENV)/.dev ## the shipped bundle's golden pairs on this processor, an x86-64 without VNNI and an aarch64
	@$(BIN)/python -m tests.processors

# LeRobot wants other versions than the rest, and brings ten times what its robots need: here is what they do need. Its
# torchvision is built for a GPU that a machine without one has not, and lacks two operators then.
LEROBOT := $(VENV)-lerobot
GYM := $(VENV)-gym
OWN_NEEDS := cffi msgspec pyzmq rich shtab

$(LEROBOT)/.done:
	@echo "installing LeRobot into $(LEROBOT) (once, 1.6 GB) …"
	@$(PYTHON) -m venv $(LEROBOT)
	@$(LEROBOT)/bin/python -m pip install -q torch==2.13.0 torchvision==0.28.0
	@$(LEROBOT)/bin/python -m pip install -q --no-deps lerobot==0.4.4 feetech-servo-sdk 'dynamixel-sdk<3.9'
	@$(LEROBOT)/bin/python -m pip install -q draccus==0.10.0 'deepdiff<9' 'pyserial<4' tqdm 'accelerate<2' 'datasets<5' 'av<16' \
		einops 'huggingface-hub<0.36' opencv-python-headless $(OWN_NEEDS) 2>/dev/null
	@$(LEROBOT)/bin/python -m scripts.torchvision_without_gpu
	@touch $@

$(GYM)/.done:
	@echo "installing environments that others publish into $(GYM) (once, 1 GB) …"
	@$(PYTHON) -m venv $(GYM)
	@$(GYM)/bin/python -m pip install -q 'mujoco<4' 'gymnasium>=1.1.1,<2' gym-pusht gym-aloha metaworld packaging $(OWN_NEEDS)
	@touch $@

.PHONY: lerobot
lerobot: $(VENV)/.dev $(LEROBOT)/.done ## the driver for LeRobot against LeRobot itself, on a serial line that misbehaves
	@EDGE_LEROBOT_PYTHON=$(CURDIR)/$(LEROBOT)/bin/python PYTHONPATH=$(CURDIR) $(BIN)/python -m pytest -m lerobot $(ARGS)

.PHONY: gym
gym: $(VENV)/.dev $(GYM)/.done ## public environments (PushT, ALOHA, Meta-World) through the whole runtime
	@EDGE_GYM_PYTHON=$(CURDIR)/$(GYM)/bin/python PYTHONPATH=$(CURDIR) $(BIN)/python -m pytest -m public_gym $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev ## all benchmarks, side by side on this machine; results in benchmarks/results/
	@$(BIN)/python -c 'import ruckig' 2>/dev/null || $(BIN)/python scripts/install.py '.[bench]'
	@$(BIN)/python -m benchmarks

.PHONY: bounds
bounds: $(BIN)/python ## the lowest and the newest versions that pyproject.toml allows, each tested; known holes
	@$(BIN)/python -m scripts.bounds $(ARGS)

.PHONY: assets
assets: $(VENV)/.dev ## rebuild the shipped policy from nothing: demonstrations, training, export, quantization, parity
	@$(BIN)/edge-export build pocket_vla --out edge_runtime/drivers/sim/bundles/pocket_vla \
		--weights assets/pocket_vla_train/weights_fp16.safetensors

.PHONY: help
help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo
	@echo "  EPISODES=5          make demo: only the arm, for so many episodes"
	@echo "  ARGS='--seed 100'   what the verb's command gets besides (demo, evaluate, fuzz, powercut, mutate, bounds)"
	@echo "  WORKERS=1           make test: how many files of tests run side by side (default: 5)"
	@echo "  PYTHON=python3.12   what the virtual environment is made with (default: python3)"

.PHONY: clean
clean: ## remove the virtual environment and everything built
	rm -rf $(VENV) build .run runs *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name '*.so' -not -path './.git/*' -delete

$(BIN)/python:
	@sh scripts/preflight.sh "$(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@# The pip that comes with Python 3.10 may look for versions that agree for half an hour; where there is no newer, it has to do.
	@$(BIN)/python -m pip install --quiet --upgrade pip || true

NATIVE := $(shell find edge_runtime -name '*.c' -o -name '*.h') setup.py pyproject.toml

$(VENV)/.demo: $(BIN)/python $(NATIVE)
	@echo "installing the robot side, the simulator and the hub into $(VENV) (once) …"
	@$(BIN)/python scripts/install.py '.[robot,sim,hub]'
	@touch $@

$(VENV)/.dev: $(BIN)/python $(NATIVE)
	@echo "installing the runtime, the exporter and the test tools into $(VENV) (once) …"
	@$(BIN)/python scripts/install.py '.[robot,sim,export,hub,dev]'
	@touch $@ $(VENV)/.demo
