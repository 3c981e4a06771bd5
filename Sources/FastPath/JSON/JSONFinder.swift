// A few paths compiled for one purpose outside the event selectors: handshakes, tests, benchmarks.
//
// Safety: points into the `CompiledMemory` given at compilation.

@safe package struct JSONFinder: @unchecked Sendable {
    private let paths: JSONPathSet

    /// At most eight paths.
    package init(_ paths: [JSONPath], in memory: CompiledMemory) { self.paths = JSONPathSet(paths, in: memory) }

    /// The values, by the place of their path.
    @_noAllocation @_noLocks
    package func find(in body: ByteView) -> JSONMatches { JSONPathScan.run(body, paths) }
}
