// One fuzzer for all targets: `fuzz TARGET [libFuzzer's arguments]`. Built by `make fuzz` alone, with SLUICE_FUZZ in
// the environment; a finding ends the process as a fault does, so that libFuzzer keeps the input.
//
// Safety: libFuzzer's bytes live for the call and are copied; `chosen` is set once, before it is called.

@main enum Fuzz {
    nonisolated(unsafe) static var chosen = FuzzTarget.requestHead

    static func main() {
        let names = FuzzTarget.allCases.map(\.rawValue)
        guard CommandLine.arguments.count > 1, let target = FuzzTarget(rawValue: CommandLine.arguments[1]) else {
            fatalError("fuzz TARGET [ARGUMENTS OF LIBFUZZER]; the targets: \(names.joined(separator: " "))")
        }
        chosen = target
        var arguments = CommandLine.unsafeArgv
        var count = CommandLine.argc - 1
        // Its first argument is the program's name.
        arguments[1] = arguments[0]
        arguments += 1
        _ = runDriver(&count, &arguments, testOneInput)
    }
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

@_cdecl("LLVMFuzzerTestOneInput") func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = Array(UnsafeBufferPointer(start: data, count: count))
    do throws(FuzzFinding) { try Fuzz.chosen.run(input) } catch { fatalError("FINDING: \(error)") }
    return 0
}
