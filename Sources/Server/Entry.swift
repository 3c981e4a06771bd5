// Where the process begins. By itself, because the fuzzer has the Server's code and a `main` of its own
// (Package.swift).

@main enum Entry {
    static func main() async { await Sluice.main() }
}
