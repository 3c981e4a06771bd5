// swift-tools-version: 6.2
// Measures FastPath from inside its package boundary: the two lowest floors by symlink, and nothing from outside.
import PackageDescription

// As in the root's Package.swift: libipsec-mb exists for x86_64 alone.
#if arch(x86_64)
let multiBuffer: [CSetting] = [.define("SLUICE_MULTI_BUFFER", to: "1")]
let multiBufferLibrary: [LinkerSetting] = [.linkedLibrary("IPSec_MB")]
#else
let multiBuffer: [CSetting] = []
let multiBufferLibrary: [LinkerSetting] = []
#endif

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]
let strictC: [CSetting] = [.define("_GNU_SOURCE"), .unsafeFlags(["-Wall", "-Wextra", "-Werror"])]

let package = Package(
    name: "benchmarks",
    targets: [
        .target(
            name: "CShims", cSettings: strictC + multiBuffer,
            linkerSettings: [
                .linkedLibrary("uring"), .linkedLibrary("ssl"), .linkedLibrary("crypto"), .linkedLibrary("xxhash"),
                .linkedLibrary("re2"),
            ] + multiBufferLibrary),
        .target(name: "FastPath", dependencies: ["CShims"], swiftSettings: strict),
        .target(name: "MallocCounter", cSettings: strictC),
        .target(name: "InstructionCounter", cSettings: strictC),
        .executableTarget(
            name: "benchmarks", dependencies: ["FastPath", "InstructionCounter"], path: "Sources/Benchmarks",
            swiftSettings: strict),
        .executableTarget(
            name: "allocation-probe", dependencies: ["FastPath", "MallocCounter"], path: "Sources/AllocationProbe",
            swiftSettings: strict),
    ]
)
