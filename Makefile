# What a person or a machine does with this tree. Every target works from a clean clone and asks nothing.
.PHONY: run test build bundle bench simulate mutants fuzz tsan asan lint format clean

# Folders of our own; Benchmarks reaches the floors by links, which the formatter does not follow.
swift_files = Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources

run: ## Build, start the gateway with an embedded store, send one signed webhook through it
	@scripts/run-demo.sh

test: ## Build, run the suites against the real binary and the Swift tests
	@scripts/test.sh

build: ## The release binary, .build/release/sluice
	@scripts/setup.sh build
	@swift build -c release --product sluice

bundle: build ## A folder and an archive that run elsewhere, .build/bundle; perf/scaling is in it
	@scripts/bundle.sh

bench: build ## Ingest beside the limit probe and the peers, in one run
	@perf/run ingest-steady --no-file

simulate: ## The whole gateway in a simulator: SEEDS=1000 of them from FROM=1, or one with its story, SEED=17
	@scripts/setup.sh build
	@swift build -c release --product simulate
	@.build/release/simulate $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000) --from $(or $(FROM),1))

mutants: ## Plants each fault and runs the simulator until it is found, SEEDS=10000 a fault at most; then the suites
	@scripts/setup.sh build
	@scripts/mutants.sh $(or $(SEEDS),10000)

fuzz: ## The fuzzers of Tests/Fuzz, SECONDS=60 each, or one: TARGET=request-head
	@scripts/setup.sh build
	@scripts/fuzz.sh $(or $(SECONDS),60) $(TARGET)

tsan: ## Hand-overs of FastPath with ThreadSanitizer, and five planted races that it must report; FILTER=. is all tests
	@scripts/setup.sh build
	@scripts/sanitize.sh thread $(if $(FILTER),"$(FILTER)")

asan: ## FastPath's tests with AddressSanitizer and LeakSanitizer, and nine planted strays; FILTER=PATTERN is some
	@scripts/setup.sh build
	@scripts/sanitize.sh address $(if $(FILTER),"$(FILTER)")

lint: ## The formatter as a check (.swift-format); the other rules of style are Tests/TidyTests
	@swift format lint --strict --parallel --recursive $(swift_files)

format: ## Formats every Swift file in place
	@swift format --in-place --parallel --recursive $(swift_files)

clean:
	@rm -rf .build .build-fuzz .build-tsan .build-asan .venv
