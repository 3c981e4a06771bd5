// swift-tools-version: 6.2
// The four floors: Server → Engine → FastPath → CShims. A floor imports only what is under it (TidyTests reads it).
import PackageDescription

// libipsec-mb exists for x86_64 alone; elsewhere the verifier has its OpenSSL engine only.
#if arch(x86_64)
let multiBuffer: [CSetting] = [.define("SLUICE_MULTI_BUFFER", to: "1")]
let multiBufferLibrary: [LinkerSetting] = [.linkedLibrary("IPSec_MB")]
#else
let multiBuffer: [CSetting] = []
let multiBufferLibrary: [LinkerSetting] = []
#endif

// A build with the faults that the simulator has to find (`make mutants`); see FastPath/Planted.swift.
let planted: [SwiftSetting] =
    Context.environment["SLUICE_PLANTED"] == nil ? [] : [.define("SLUICE_PLANTED")]

// `make fuzz`: the floors with libFuzzer's coverage and AddressSanitizer in them, and the Server's code as a library,
// since an executable can have one `main` only, and that is the fuzzer's (Tests/Fuzz/Driver.swift). SLUICE_FUZZ is the
// path of libFuzzer without a `main` (scripts/fuzz.sh).
let fuzzer = Context.environment["SLUICE_FUZZ"]
let isFuzzed = fuzzer != nil
let fuzzed: [SwiftSetting] = isFuzzed ? [.unsafeFlags(["-sanitize=fuzzer,address"])] : []
let fuzzedFlags = isFuzzed ? ["-fsanitize=fuzzer-no-link,address"] : []
// Fuzzers and sanitizers have a debug build with FastPath optimised: most of the work is there, and its annotations
// (@_noAllocation, @_noLocks) are held against the whole module or not at all.
let isInstrumented = isFuzzed || Context.environment["SLUICE_SANITIZED"] != nil
let optimized: [SwiftSetting] = isInstrumented ? [.unsafeFlags(["-O", "-wmo", "-num-threads", "2"])] : []

let strict: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .treatAllWarnings(as: .error),
    ] + planted + fuzzed

// Tests are seldom run as often as they are built, and optimiser and debug information take half of their build; what
// reads the whole tree letter by letter has both.
let tests: [SwiftSetting] = strict + [.unsafeFlags(["-Onone", "-gnone"])]

let serverDependencies: [Target.Dependency] = [
    "Engine", "FastPath", "LoadGenerator", "BenchmarkGate",
    .product(name: "ArgumentParser", package: "swift-argument-parser"),
    .product(name: "Hummingbird", package: "hummingbird"),
    .product(name: "Logging", package: "swift-log"),
    .product(name: "HTTPTypes", package: "swift-http-types"),
    .product(name: "UnixSignals", package: "swift-service-lifecycle"),
    .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"), .product(name: "Yams", package: "Yams"),
]
// One folder, two uses: its targets under libFuzzer, or their corpora among the tests.
let fuzzTargets: [Target] =
    if let fuzzer {
        [
            .target(
                name: "Server", dependencies: serverDependencies, exclude: ["Entry.swift"],
                swiftSettings: strict + [.strictMemorySafety()]),
            .executableTarget(
                name: "fuzz", dependencies: ["Server", "Engine", "FastPath", "TestSupport"], path: "Tests/Fuzz",
                exclude: ["CorpusTests.swift", "corpus", "dictionaries", "make_corpus.py"],
                swiftSettings: strict + [.unsafeFlags(["-O"])],
                linkerSettings: [.unsafeFlags(["-sanitize=address", fuzzer, "-lstdc++"])]),
        ]
    } else {
        [
            .executableTarget(
                name: "Server", dependencies: serverDependencies, swiftSettings: strict + [.strictMemorySafety()]),
            .testTarget(
                name: "FuzzTests", dependencies: ["Server", "Engine", "FastPath", "TestSupport"], path: "Tests/Fuzz",
                exclude: ["Driver.swift", "corpus", "dictionaries", "make_corpus.py"], swiftSettings: strict),
        ]
    }

let package = Package(
    name: "sluice",
    products: isFuzzed ? [] : [.executable(name: "sluice", targets: ["Server"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.0.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        .target(
            name: "CShims",
            cSettings: [.define("_GNU_SOURCE"), .unsafeFlags(["-Wall", "-Wextra", "-Werror"] + fuzzedFlags)]
                + multiBuffer,
            cxxSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"] + fuzzedFlags)],
            linkerSettings: [
                .linkedLibrary("uring"), .linkedLibrary("ssl"), .linkedLibrary("crypto"), .linkedLibrary("xxhash"),
                .linkedLibrary("re2"),
            ] + multiBufferLibrary),
        .target(
            name: "FastPath", dependencies: ["CShims"], swiftSettings: strict + [.strictMemorySafety()] + optimized),
        .target(
            name: "Engine",
            dependencies: [
                "FastPath", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict + [.strictMemorySafety()]),
        // Tools beside the gateway, so that its floors do not contain them.
        .target(
            name: "LoadGenerator",
            dependencies: ["Engine", "FastPath", .product(name: "Histogram", package: "hdrhistogram-swift")],
            swiftSettings: strict + [.strictMemorySafety()]),
        .target(name: "BenchmarkGate", swiftSettings: strict + [.strictMemorySafety()]),
        // What perf/run history-growth measures with.
        .executableTarget(
            name: "store-growth", dependencies: ["Engine", "FastPath"], path: "perf/store-growth", swiftSettings: strict
        ),
        .target(
            name: "TestSupport", dependencies: ["FastPath"], path: "Tests/Support", swiftSettings: strict + optimized),
        // The whole gateway on simulated network, disk and clock, and the command that runs seeds of it. The checks of
        // exclusive access to its own objects would take a sixth of a seed's time.
        .target(
            name: "Simulator", dependencies: ["Engine", "FastPath", "CShims"], path: "Tests/Simulator",
            swiftSettings: strict + [.unsafeFlags(["-enforce-exclusivity=unchecked"])]),
        .executableTarget(
            name: "simulate", dependencies: ["Simulator", "FastPath"], path: "Tests/Simulate", swiftSettings: strict),
        .testTarget(name: "SimulatorTests", dependencies: ["Simulator", "FastPath"], swiftSettings: strict),
        .testTarget(name: "FastPathTests", dependencies: ["FastPath", "TestSupport"], swiftSettings: tests),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "Server", "Engine", "FastPath", "LoadGenerator", "BenchmarkGate", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            swiftSettings: tests),
        .testTarget(
            name: "LoadGeneratorTests", dependencies: ["LoadGenerator", "Engine", "FastPath"], swiftSettings: tests),
        .testTarget(
            name: "BenchmarkGateTests", dependencies: ["BenchmarkGate", "TestSupport"], swiftSettings: tests),
        .testTarget(name: "TidyTests", swiftSettings: strict),
        // Optimised in every build: it goes through every order of the threads of its models.
        .testTarget(
            name: "MemoryModelTests", dependencies: ["TestSupport"], swiftSettings: strict + [.unsafeFlags(["-O"])]),
        .testTarget(
            name: "EngineTests",
            dependencies: [
                "Engine", "FastPath", "Simulator", "TestSupport", .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: tests),
    ] + fuzzTargets
)

// `make tsan`: of the tests those of SLUICE_TESTS, and what they need, because a sanitizer's build starts
// from nothing.
if let wanted = Context.environment["SLUICE_TESTS"] {
    var names = Set(wanted.split(separator: ",").map(String.init))
    var isGrowing = true
    while isGrowing {
        let count = names.count
        for target in package.targets where names.contains(target.name) {
            for case .byNameItem(let name, _) in target.dependencies { names.insert(name) }
        }
        isGrowing = names.count > count
    }
    package.targets.removeAll { !names.contains($0.name) }
    package.products.removeAll { _ in !names.contains("Server") }
}
